"""What was broken in this session, and what came of it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tests.chaos.world import World

_COLUMNS = (
    "worlds",
    "faults",
    "servers",
    "tasks",
    "success",
    "crashed",
    "cancelled",
    "other",
    "lost",
)
#: Names of the properties of a test's report begin so; the scenario follows.
PROPERTY = "chaos: "
#: Of the test that runs.
_noted: dict[str, Counter[str]] = {}
#: Of all tests.
_entries: dict[str, Counter[str]] = {}


def note(world: World, tasks: Sequence[Mapping[str, Any]]) -> None:
    """Put down a world that was found in order."""
    states = Counter(task["state"] for task in tasks)
    known = {name: states[name] for name in ("success", "crashed", "cancelled")}
    counts = {
        "worlds": 1,
        "faults": world.kills + len(world.happened),
        "servers": world.servers_started,
        "tasks": len(tasks),
        **known,
        "other": len(tasks) - sum(known.values()),
    }
    _noted.setdefault(_scenario(), Counter()).update(counts)


def note_store(kills: int, acknowledged: int, lost: int) -> None:
    """Put down how often a store was killed, and what became of what it had acknowledged."""
    counts = {"worlds": 1, "faults": kills, "tasks": acknowledged, "success": acknowledged - lost}
    _noted.setdefault(_scenario(), Counter()).update({**counts, "lost": lost})


def taken() -> list[tuple[str, dict[str, int]]]:
    """What was noted since this was called last, as properties of a test's report."""
    properties = [(f"{PROPERTY}{name}", dict(counts)) for name, counts in _noted.items()]
    _noted.clear()
    return properties


def add(scenario: str, counts: Mapping[str, int]) -> None:
    """Add what a test noted to the table."""
    _entries.setdefault(scenario, Counter()).update(counts)


def table() -> Iterator[str]:
    """The lines of a table; none where nothing was broken."""
    if not _entries:
        return
    width = max(map(len, _entries))
    yield " ".join([" " * width, *(f"{name:>9}" for name in _COLUMNS)])
    whole: Counter[str] = Counter()
    for scenario, counts in _entries.items():
        whole.update(counts)
        yield _line(scenario.ljust(width), counts)
    yield _line("all".ljust(width), whole)


def _line(scenario: str, counts: Counter[str]) -> str:
    return " ".join([scenario, *(f"{counts[name]:>9}" for name in _COLUMNS)])


def _scenario() -> str:
    """The test that runs, as pytest tells it."""
    name = os.environ.get("PYTEST_CURRENT_TEST", "").split("::")[-1].removesuffix(" (call)")
    return name.partition("[")[0].removeprefix("test_").replace("_", " ")
