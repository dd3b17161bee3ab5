"""What a step is known by in the cache, and what is different from another time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

#: Name of the pinned file that tells what the cache said.
CACHE_NAME = "cache.json"


@dataclass(frozen=True, kw_only=True)
class Parts:
    """Everything that a step's result depends on, as digests."""

    #: Its code, without comments and outputs, and what runs it.
    source: str
    #: Its parameters or config, with all values in place.
    parameters: str
    #: The outputs of each step that it depends on, by id.
    upstream: Mapping[str, str] = field(default_factory=dict)
    #: The files that it reads, by path.
    inputs: Mapping[str, str] = field(default_factory=dict)
    #: Python, kernel and installed packages.
    environment: str


@dataclass(frozen=True, kw_only=True)
class CacheRecord:
    """What the cache said when a step's turn came."""

    key: str
    parts: Parts
    #: Which step it is, from one run to the next.
    owner: str
    #: ``hit``, ``miss`` or ``forced``.
    verdict: str
    #: The task that it was compared with: of a hit the one that was reused.
    compared_with: str | None = None
    #: What is different from that task, as sentences.
    changes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class StepExplanation:
    """Why a step ran, or did not have to."""

    step: str
    #: ``hit``, ``miss``, ``forced``, ``off`` or, before a run, ``perhaps``.
    verdict: str
    reasons: tuple[str, ...] = ()
    task_id: str | None = None
    compared_with: str | None = None


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """What the cache says of each step of a workflow."""

    workflow: str
    steps: tuple[StepExplanation, ...]


def changes(before: Parts | None, after: Parts) -> tuple[str, ...]:
    """What is different, part by part."""
    if before is None:
        return ("it has not run with success before",)
    found = []
    if before.source != after.source:
        found.append("its source changed")
    if before.parameters != after.parameters:
        found.append("its parameters changed")
    found += _differences("upstream step", before.upstream, after.upstream, "gave other outputs")
    found += _differences("input file", before.inputs, after.inputs, "changed")
    if before.environment != after.environment:
        found.append("the environment changed: other packages or another kernel")
    return tuple(found) or ("the earlier result is gone, or was changed since",)


def _differences(
    what: str, before: Mapping[str, str], after: Mapping[str, str], changed: str
) -> list[str]:
    names = dict.fromkeys([*before, *after])
    sentences = []
    for name in names:
        if name not in before:
            sentences.append(f"{what} {name} is new")
        elif name not in after:
            sentences.append(f"{what} {name} is gone")
        elif before[name] != after[name]:
            sentences.append(f"{what} {name} {changed}")
    return sentences
