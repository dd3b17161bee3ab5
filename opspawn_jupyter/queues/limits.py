"""How many tasks may run at once, and how many do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from opspawn_jupyter.model.work import POOLED_PER_SLOT


class Lane(NamedTuple):
    """Tasks to which the same limits apply."""

    kind: str
    #: The concurrency key; None for tasks without one.
    key: str | None
    #: Its tasks share processes; ``POOLED_PER_SLOT`` of them take the place of one other.
    is_pooled: bool = False

    @property
    def weight(self) -> int:
        """What one of its tasks takes of the total, in parts of a place."""
        return 1 if self.is_pooled else POOLED_PER_SLOT


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What the settings allow. None: as many as workers can take."""

    total: int | None = None
    #: By kind; kinds that are not named have no limit.
    kinds: Mapping[str, int] = field(default_factory=dict)
    #: By concurrency key; one at a time for keys that are not named.
    keys: Mapping[str, int] = field(default_factory=dict)


class Places:
    """How many places are taken, and whether there is one more."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._kinds: Counter[str] = Counter()
        self._keys: Counter[str] = Counter()
        self._total = 0
        self._lowered: dict[str, int] = {}

    def fill(self, lane: Lane) -> None:
        """One of the lane has gone."""
        self._count(lane, 1)

    def free(self, lane: Lane) -> None:
        """One of the lane is back."""
        self._count(lane, -1)

    def limit_kind(self, kind: str, most: int | None) -> None:
        """As ``Queue.limit_kind``."""
        if most is None:
            self._lowered.pop(kind, None)
        else:
            self._lowered[kind] = most

    @property
    def any_free(self) -> bool:
        """Whether anything at all may go."""
        return self._limits.total is None or self._total < self._limits.total * POOLED_PER_SLOT

    def is_free(self, lane: Lane) -> bool:
        """Whether one more of the lane may go, as far as its kind, its key and its weight are
        concerned."""
        total = self._limits.total
        if total is not None and self._total + lane.weight > total * POOLED_PER_SLOT:
            return False
        limits = [self._limits.kinds.get(lane.kind), self._lowered.get(lane.kind)]
        if any(most is not None and self._kinds[lane.kind] >= most for most in limits):
            return False
        return lane.key is None or self._keys[lane.key] < self._limits.keys.get(lane.key, 1)

    def _count(self, lane: Lane, change: int) -> None:
        self._total += change * lane.weight
        self._kinds[lane.kind] += change
        if lane.key is not None:
            self._keys[lane.key] += change
            if not self._keys[lane.key]:
                del self._keys[lane.key]
