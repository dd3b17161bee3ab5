"""What is asked about schedules, and what people are told of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar

from opspawn_jupyter.model.firing import Firing
from opspawn_jupyter.model.policy import STRICT
from opspawn_jupyter.model.schedule import Schedule


@dataclass(frozen=True, kw_only=True)
class DueAnswer:
    """What became of a due time, for people."""

    schedule: str
    due_at: datetime
    #: In one sentence.
    message: str
    firing: Firing | None = None
    next_due_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class ScheduleView:
    """A schedule with its rule in words and its next due times."""

    schedule: Schedule
    words: str
    next_due_at: tuple[datetime, ...] = ()
    #: The token of its webhook, shown once: when it is made.
    token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True)
class ScheduleList:
    """Schedules by name."""

    schedules: tuple[ScheduleView, ...]


@dataclass(frozen=True, kw_only=True)
class FiringList:
    """What became of due times, newest first."""

    schedule: str
    firings: tuple[Firing, ...]
    #: ``before`` of the next page; None on the last one.
    next_cursor: str | None = None


@dataclass(frozen=True, kw_only=True)
class Called:
    """What a call of a webhook came to; without a task the schedule's history says why."""

    task_id: str | None


@dataclass(frozen=True, kw_only=True)
class Preview:
    """What a timing means."""

    words: str
    next_due_at: tuple[datetime, ...]


@dataclass(frozen=True, kw_only=True)
class Edit:
    """Changes of a plan: the fields that are given take the place of the plan's own.

    ``submission`` and ``timing`` are merged field by field, and ``submission.spec`` by its own
    fields, so that a parameter can be changed alone.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    changes: Mapping[str, Any]
    #: Why; kept in the history with who and when.
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Period:
    """From ``start`` to ``end``, both included."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    start: datetime
    end: datetime
