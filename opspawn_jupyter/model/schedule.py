"""A schedule: a rule that submits tasks."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar

from opspawn_jupyter.model.policy import STRICT
from opspawn_jupyter.model.task import Submission

#: Label of every task that a schedule submits: the schedule's name.
SCHEDULE_LABEL = "schedule"
#: Labels of the same tasks: the schedule's id, the time that each stands for, and which source
#: it took.
SCHEDULE_ID_LABEL, DUE_LABEL, SOURCE_LABEL = "schedule_id", "due", "source"


class Overlap(StrEnum):
    """What to do at a due time while an earlier task of the schedule has not ended."""

    #: Submit nothing.
    SKIP = "skip"
    #: Submit it; it waits for the earlier one.
    QUEUE = "queue"
    #: Cancel the earlier one, and submit.
    CANCEL_RUNNING = "cancel_running"
    #: Submit it beside the earlier one.
    ALLOW = "allow"


class CatchUp(StrEnum):
    """What to do about due times that passed while no server ran."""

    NONE = "none"
    #: Submit a task for the last of them only.
    LATEST = "latest"
    #: Submit a task for each, one after the other.
    ALL = "all"


class Source(StrEnum):
    """Which notebook a run takes."""

    #: The file as it is at the time of the run.
    LINKED = "linked"
    #: The file as it was when the schedule was made, or last edited.
    PINNED = "pinned"


class ScheduleState(StrEnum):
    """Where a schedule stands."""

    ACTIVE = "active"
    #: By somebody, or after too many failures; ``state_reason`` says which.
    PAUSED = "paused"
    #: It has no due time any more.
    ENDED = "ended"
    DELETED = "deleted"


@dataclass(frozen=True, kw_only=True)
class Timing:
    """When a schedule is due: by ``cron``, by ``every_seconds``, or ``at`` one time; by none of
    them where only schedules, workflows, files or a webhook start it."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    #: Five fields as in crontab(5), or one of @hourly, @daily, @weekly, @monthly, @yearly.
    cron: str | None = None
    every_seconds: float | None = None
    #: Once; with its UTC offset.
    at: datetime | None = None
    #: IANA time zone in which ``cron`` and ``exclude_dates`` are read.
    timezone: str = "UTC"
    #: Not due before; the intervals of ``every_seconds`` are counted from here.
    starts_at: datetime | None = None
    #: Not due after.
    ends_at: datetime | None = None
    #: Days without due times, as 2026-12-25.
    exclude_dates: tuple[str, ...] = ()

    @property
    def has_clock(self) -> bool:
        """The clock makes it due."""
        return not (self.cron is None and self.every_seconds is None and self.at is None)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What somebody asks for: what to submit, when, and how to treat what goes wrong."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    name: str
    #: What is submitted. Its texts may hold ``{{ scheduled_time }}`` and the like.
    submission: Submission
    timing: Timing = field(default_factory=Timing)
    #: A task starts up to so much after its due time, each time the same for the same due time.
    jitter_seconds: float = 0.0
    overlap: Overlap = Overlap.SKIP
    catch_up: CatchUp = CatchUp.LATEST
    #: Due times longer ago are not made up for.
    catch_up_window_seconds: float = 604_800.0
    source: Source = Source.LINKED
    #: So many tasks in a row that do not succeed pause the schedule; 0 never does.
    pause_after_failures: int = 0
    #: No more than so many tasks of the schedule wait or run; more are not submitted.
    max_unfinished: int = 100
    #: Patterns of files under the server's root; one that comes or changes starts a task.
    files: tuple[str, ...] = ()
    #: Names of schedules; each of their tasks that succeeds starts one of this schedule.
    follows: tuple[str, ...] = ()
    #: Files, or names, of workflows; each of their runs that succeeds, whoever started it, starts a
    #: task.
    follows_workflows: tuple[str, ...] = ()
    #: Whether a call with the schedule's own token starts a task.
    webhook: bool = False
    #: Have each run's notebook also as a web page in its run directory.
    html: bool = False
    #: And as a PDF, which the machine's Chromium prints.
    pdf: bool = False
    #: Run directories of so many finished tasks are kept, the newest; 0: as the server is set.
    keep_runs: int = 0
    #: Who is told when a task succeeds after one that did not.
    on_recovery: tuple[str, ...] = ()
    #: Who is told when a task's outputs differ from those of the one before.
    on_change: tuple[str, ...] = ()

    @property
    def has_papers(self) -> bool:
        """Each run's notebook is wanted in other forms too."""
        return self.html or self.pdf

    @property
    def has_triggers(self) -> bool:
        """Something other than the clock starts it."""
        return bool(self.files or self.follows or self.follows_workflows or self.webhook)


@dataclass(frozen=True, kw_only=True)
class Unsettled:
    """A task of a schedule has ended: papers are to be made of it, or somebody is to be told."""

    task_id: str
    #: It succeeded after one that did not.
    is_recovery: bool = False
    #: Its outputs differ from those of the one before.
    is_change: bool = False


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """A schedule as it stands."""

    id: str
    plan: Plan
    state: ScheduleState = ScheduleState.ACTIVE
    #: Why it is paused or ended.
    state_reason: str = ""
    created_at: datetime
    created_by: str = ""
    #: Who edited it last, and why, as far as that was said.
    edited_by: str = ""
    edit_reason: str = ""
    #: Every due time up to here has its task or its recorded reason.
    accounted_until: datetime
    #: The next due time; None where there is none.
    next_due_at: datetime | None = None
    #: Tasks in a row that did not succeed.
    failures: int = 0
    #: Tasks whose end is not accounted for yet, oldest first.
    unfinished: tuple[str, ...] = ()
    #: Ends that are accounted for, and of which not everything is done yet that the plan asks for.
    unsettled: tuple[Unsettled, ...] = ()
    #: The task submitted last.
    last_task_id: str | None = None
    #: Digest of the outputs of the last task that succeeded.
    result_digest: str | None = None
    #: SHA-256 of the pinned notebook, where the source is pinned.
    pinned_sha256: str | None = None
    #: SHA-256 of the token that opens the webhook; the token itself is kept by nobody here.
    token_sha256: str | None = None

    @property
    def name(self) -> str:
        """For people, and unique."""
        return self.plan.name

    @property
    def is_open(self) -> bool:
        """Something may still come of it."""
        return self.state is not ScheduleState.DELETED
