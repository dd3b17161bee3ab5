"""Measuring ways of doing the same thing in turn, and what comes of it.

Times drift by a factor of two with whatever else a machine does. So the ways of a row take turns
(A B C, A B C, …), only medians are compared, and the load is written beside them.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from typing import Any

#: Measures once; seconds, or what else the row counts.
Way = Callable[[], float]


@dataclass(frozen=True, kw_only=True)
class Size:
    """How much is measured: the short form only shows that it works."""

    is_short: bool = False

    def of(self, whole: int, short: int) -> int:
        """The number for this form."""
        return short if self.is_short else whole


@dataclass(frozen=True, kw_only=True)
class Goal:
    """What our way is to reach against another: ``at_least`` so many times better, or for a share
    of the other's ``at_most``."""

    ours: str
    other: str
    at_least: float | None = None
    at_most: float | None = None
    #: Compare the worst values instead of the medians.
    of_worst: bool = False


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table."""

    name: str
    what: str
    unit: str
    #: Sets everything up, and gives the ways by name.
    ways: Callable[[Size], AbstractContextManager[Mapping[str, Way]]]
    goals: tuple[Goal, ...] = ()
    rounds: int = 9
    #: Before each value: what one way leaves behind (a process that ends, spares that are made
    #: anew) is not the next one's.
    rest_seconds: float = 0.0
    #: Whether a large figure is a good one, as with rates.
    more_is_better: bool = False


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What came of a row."""

    row: str
    what: str
    unit: str
    values: Mapping[str, Sequence[float]]
    goals: Sequence[Mapping[str, Any]]
    load_before: tuple[float, float, float]
    load_after: tuple[float, float, float]
    seconds: float
    notes: Mapping[str, str] = field(default_factory=dict)

    @property
    def medians(self) -> Mapping[str, float]:
        """The middle value of each way."""
        return {name: statistics.median(values) for name, values in self.values.items()}

    def plain(self) -> dict[str, Any]:
        """As JSON has it."""
        worst = {name: max(values) for name, values in self.values.items()}
        return {**asdict(self), "medians": self.medians, "worst": worst}


def measure(row: Row, size: Size) -> Measured:
    """Run all ways of the row, in turn."""
    began, load = time.monotonic(), os.getloadavg()
    with row.ways(size) as ways:
        values: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(size.of(row.rounds, 2)):
            for name, way in ways.items():
                time.sleep(row.rest_seconds)
                values[name].append(way())
    return Measured(
        row=row.name,
        what=row.what,
        unit=row.unit,
        values=values,
        goals=[_judged(goal, row, values) for goal in row.goals if goal.other in values],
        load_before=load,
        load_after=os.getloadavg(),
        seconds=time.monotonic() - began,
    )


def _judged(goal: Goal, row: Row, values: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    worst = min if row.more_is_better else max
    figure = worst if goal.of_worst else statistics.median
    ours, other = figure(values[goal.ours]), figure(values[goal.other])
    if goal.at_most is not None:
        ratio = ours / other
        return {**asdict(goal), "ratio": ratio, "is_reached": ratio <= goal.at_most}
    ratio = ours / other if row.more_is_better else other / ours
    return {**asdict(goal), "ratio": ratio, "is_reached": ratio >= (goal.at_least or 0)}
