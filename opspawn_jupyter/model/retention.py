"""How long run directories are kept: which of them go, and why. Pure; deletes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, ClassVar

from opspawn_jupyter.model.policy import STRICT


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What may stay; None: no limit of this sort."""

    #: Since the end of the task.
    days: float | None = None
    #: The newest so many.
    max_tasks: int | None = None
    #: The newest that hold so much together.
    max_bytes: int | None = None

    @property
    def is_endless(self) -> bool:
        """Everything stays."""
        return self == Limits()


@dataclass(frozen=True, kw_only=True)
class Retention:
    """The limits, and other ones for tasks with a certain label; the first that fits holds."""

    limits: Limits = field(default_factory=Limits)
    #: By ``name:value``.
    by_label: Mapping[str, Limits] = field(default_factory=dict)

    @property
    def is_endless(self) -> bool:
        """Everything stays."""
        return all(limits.is_endless for limits in (self.limits, *self.by_label.values()))

    @property
    def counts_bytes(self) -> bool:
        """Sizes must be known before anything can be chosen."""
        every = (self.limits, *self.by_label.values())
        return any(limits.max_bytes is not None for limits in every)

    def label_of(self, labels: Mapping[str, str]) -> str:
        """The label whose limits hold; empty where the general ones do."""
        return next(
            (label for label in self.by_label if _carries(labels, label)),
            "",
        )


@dataclass(frozen=True, kw_only=True)
class Remains:
    """A finished task that still has its run directory."""

    task_id: str
    name: str
    finished_at: datetime
    #: Relative to the server's root.
    run_directory: str
    labels: Mapping[str, str] = field(default_factory=dict)
    size_bytes: int = 0


@dataclass(frozen=True, kw_only=True)
class Removal:
    """A run directory that goes."""

    task_id: str
    name: str
    finished_at: datetime
    run_directory: str
    size_bytes: int
    reason: str
    #: Why it could not be removed, where it could not.
    problem: str | None = None


@dataclass(frozen=True, kw_only=True)
class PruneRequest:
    """What is to go. Without any limit: what the server's settings say."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    #: Only tell what would go.
    dry_run: bool = False
    older_than_days: float | None = None
    keep: int | None = None
    max_bytes: int | None = None
    #: Only among tasks that carry these.
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def limits(self) -> Limits:
        """As limits."""
        return Limits(days=self.older_than_days, max_tasks=self.keep, max_bytes=self.max_bytes)


@dataclass(frozen=True, kw_only=True)
class Pruned:
    """What went, or would go."""

    dry_run: bool
    removals: tuple[Removal, ...]
    #: Of all that could be removed.
    size_bytes: int


def choose(
    remains: Iterable[Remains], retention: Retention, now: datetime
) -> tuple[tuple[Remains, str], ...]:
    """What goes, each with its reason, oldest first. Count and bytes hold for each label's
    tasks apart."""
    groups: dict[str, list[Remains]] = {}
    for one in remains:
        groups.setdefault(retention.label_of(one.labels), []).append(one)
    chosen = [
        pair
        for label, group in groups.items()
        for pair in _beyond(group, retention.by_label.get(label, retention.limits), now)
    ]
    return tuple(sorted(chosen, key=lambda pair: pair[0].finished_at))


def _beyond(
    group: Sequence[Remains], limits: Limits, now: datetime
) -> Iterator[tuple[Remains, str]]:
    kept_tasks = kept_bytes = 0
    for one in sorted(group, key=lambda one: (one.finished_at, one.task_id), reverse=True):
        days, most, most_bytes = limits.days, limits.max_tasks, limits.max_bytes
        if days is not None and now - one.finished_at > timedelta(days=days):
            yield one, f"it ended more than {days:g} days ago"
        elif most is not None and kept_tasks >= most:
            yield one, f"only the newest {most} are kept"
        elif most_bytes is not None and kept_bytes + one.size_bytes > most_bytes:
            yield one, f"only {most_bytes} bytes are kept"
            # Nothing older stays in the gap: what stays is always the newest.
            kept_bytes = most_bytes
        else:
            kept_tasks += 1
            kept_bytes += one.size_bytes


def _carries(labels: Mapping[str, str], label: str) -> bool:
    name, _, value = label.partition(":")
    return labels.get(name) == value
