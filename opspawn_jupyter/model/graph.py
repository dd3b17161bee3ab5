"""Orders and circles of a graph that is given as its nodes and what each depends on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence


def cycle(depends_on: Mapping[str, Iterable[str]]) -> tuple[str, ...]:
    """A circle as it is walked, with its first node again at the end; empty where there is none.

    Works without recursion, for a chain may be as long as the graph is large.
    """
    is_done: dict[str, bool] = {}
    for root in depends_on:
        path, iterators = [root], [iter(depends_on[root])]
        if root in is_done:
            continue
        is_done[root] = False
        while path:
            following = next(iterators[-1], None)
            if following is None:
                is_done[path.pop()] = True
                iterators.pop()
            elif following not in is_done:
                is_done[following] = False
                path.append(following)
                iterators.append(iter(depends_on.get(following, ())))
            elif not is_done[following]:
                return (*path[path.index(following) :], following)
    return ()


def dependents(depends_on: Mapping[str, Iterable[str]]) -> dict[str, list[str]]:
    """What depends on each node directly."""
    found: dict[str, list[str]] = {node: [] for node in depends_on}
    for node, sources in depends_on.items():
        for source in sources:
            found[source].append(node)
    return found


def reachable(start: Iterable[str], edges: Mapping[str, Iterable[str]], most: int) -> list[str]:
    """Nodes that the edges lead to from the start, nearest first, without the start; at most so
    many beyond the direct ones."""
    seen: dict[str, None] = dict.fromkeys(start)
    level: Sequence[str] = list(seen)
    found: dict[str, None] = {}
    is_first = True
    while level and (is_first or len(found) < most):
        following = dict.fromkeys(n for node in level for n in edges.get(node, ()))
        level = [node for node in following if node not in seen and node not in found]
        found |= dict.fromkeys(level)
        is_first = False
    return list(found)


def levels(depends_on: Mapping[str, Sequence[str]]) -> list[list[str]]:
    """The nodes of a graph without circles by the length of the longest way to them."""
    waiting = {node: len(set(sources)) for node, sources in depends_on.items()}
    after = dependents({node: dict.fromkeys(sources) for node, sources in depends_on.items()})
    level = [node for node, count in waiting.items() if not count]
    found = []
    while level:
        found.append(level)
        following = []
        for node in level:
            for dependent in after[node]:
                waiting[dependent] -= 1
                if not waiting[dependent]:
                    following.append(dependent)
        level = following
    return found
