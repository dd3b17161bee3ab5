"""What became of the due times of a schedule."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from opspawn_jupyter.model.schedule import Schedule, Source, Unsettled
from opspawn_jupyter.model.task import Task


class Reason(StrEnum):
    """Why a due time has no task."""

    #: An earlier task of the schedule had not ended.
    OVERLAP = "overlap"
    #: No server ran at the time, and ``catch_up`` does not make up for it.
    MISSED = "missed"
    #: No server ran at the time; a later due time was run in its place.
    SUPERSEDED = "superseded"
    #: Longer ago than ``catch_up_window_seconds`` when a server ran again.
    OUTSIDE_WINDOW = "outside_window"
    PAUSED = "paused"
    #: Too many tasks of the schedule wait already.
    LIMIT = "limit"
    #: What the schedule follows did not succeed.
    UPSTREAM_FAILED = "upstream_failed"
    #: The task was refused, as a notebook that is no more; ``message`` says why.
    REFUSED = "refused"


class Cause(StrEnum):
    """What brought a task about."""

    DUE = "due"
    #: Somebody asked for it.
    MANUAL = "manual"
    #: Somebody asked for a period.
    BACKFILL = "backfill"
    #: A file came or changed.
    FILE = "file"
    #: A task of the schedule, or a run of the workflow, that this one follows has ended.
    COMPLETION = "completion"
    WEBHOOK = "webhook"
    #: A program asked for it over MCP.
    MCP = "mcp"


@dataclass(frozen=True, kw_only=True)
class Firing:
    """What became of one due time, or of several in a row that had no task for the same reason."""

    schedule_id: str
    #: The due time, or the first of several. What was not due, as a task that somebody asked
    #: for, has the time at which it was asked for.
    due_at: datetime
    #: The last of several; the same as ``due_at`` for one.
    last_due_at: datetime
    #: How many there are; None where they were not counted.
    count: int | None = 1
    cause: Cause = Cause.DUE
    #: The task; None where there is a reason why not.
    task_id: str | None = None
    #: Which notebook the task takes.
    source: Source | None = None
    reason: Reason | None = None
    #: The reason in words.
    message: str = ""
    #: When it was decided.
    decided_at: datetime

    def covers(self, moment: datetime) -> bool:
        """Whether the due time is among those that this is about."""
        return self.due_at <= moment <= self.last_due_at


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A task of a schedule has ended, and this is what it leaves to be done."""

    task: Task
    #: As it stands after that.
    schedule: Schedule
    left: Unsettled
    #: A server that is no more had begun with it.
    is_repeated: bool = False
