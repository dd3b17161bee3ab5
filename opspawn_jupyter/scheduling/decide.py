"""What is to be done about the due times that have come: the one function that decides.

Pure. It gives every due time between the schedule's ``accounted_until`` and now exactly once, as
one to run or within a range that is passed over for one reason.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from opspawn_jupyter.model.firing import Reason
from opspawn_jupyter.model.schedule import CatchUp, Overlap, Schedule, ScheduleState
from opspawn_jupyter.scheduling.due import due_between, last_due

#: A due time that is found no later than this after it has come was not missed.
PUNCTUAL = timedelta(seconds=60)
#: A range of more due times is not counted.
_MOST_COUNTED = 1_000
_MOMENT = timedelta(microseconds=1)


@dataclass(frozen=True, kw_only=True)
class Run:
    """A task is to be submitted."""

    due_at: datetime
    #: Tasks of the schedule that have not ended are cancelled first.
    cancels_earlier: bool = False
    #: It waits until they have ended.
    is_queued: bool = False


@dataclass(frozen=True, kw_only=True)
class Pass:
    """No task, and why. For one due time, or for all from the first to the last."""

    first_due_at: datetime
    last_due_at: datetime
    #: None where they are too many to be counted.
    count: int | None
    reason: Reason


Decision = Run | Pass


def decide(schedule: Schedule, now: datetime, unfinished: int) -> tuple[Decision, ...]:
    """What is to be done, in the order of the due times.

    ``unfinished``: how many of the schedule's tasks have not ended.
    """
    return tuple(_joined(_decisions(schedule, now, unfinished)))


def _decisions(schedule: Schedule, now: datetime, unfinished: int) -> Iterator[Decision]:
    since = schedule.accounted_until
    if schedule.state is not ScheduleState.ACTIVE:
        yield from _range(schedule, since, now, Reason.PAUSED)
        return
    window = now - timedelta(seconds=schedule.plan.catch_up_window_seconds)
    yield from _range(schedule, since, window, Reason.OUTSIDE_WINDOW)
    since = max(since, window)
    punctual_since = max(since, now - PUNCTUAL)
    punctual = tuple(_between(schedule, punctual_since, now))
    for decision in _late(schedule, since, punctual_since, unfinished, is_last=not punctual):
        yield decision
        unfinished += isinstance(decision, Run)
    for due_at in punctual:
        yield (decision := _turn(schedule, due_at, unfinished))
        unfinished += isinstance(decision, Run)


def _late(
    schedule: Schedule, since: datetime, until: datetime, unfinished: int, *, is_last: bool
) -> Iterator[Decision]:
    """About what was missed. ``is_last``: nothing that is punctual comes after it."""
    match schedule.plan.catch_up:
        case CatchUp.NONE:
            yield from _range(schedule, since, until, Reason.MISSED)
        case CatchUp.LATEST if not is_last:
            yield from _range(schedule, since, until, Reason.SUPERSEDED)
        case CatchUp.LATEST:
            last = last_due(schedule.plan.timing, until + _MOMENT)
            if last is not None and last > since:
                yield from _range(schedule, since, last - _MOMENT, Reason.SUPERSEDED)
                yield _turn(schedule, last, unfinished)
        case CatchUp.ALL:
            yield from _all(schedule, since, until, unfinished)


def _all(
    schedule: Schedule, since: datetime, until: datetime, unfinished: int
) -> Iterator[Decision]:
    """Each waits for the one before, whatever ``overlap`` says, unless it allows them together."""
    is_queued = schedule.plan.overlap is not Overlap.ALLOW
    for due_at in _between(schedule, since, until):
        if unfinished >= schedule.plan.max_unfinished:
            yield from _range(schedule, due_at - _MOMENT, until, Reason.LIMIT)
            return
        yield Run(due_at=due_at, is_queued=is_queued)
        unfinished += 1


def _turn(schedule: Schedule, due_at: datetime, unfinished: int) -> Decision:
    overlap = schedule.plan.overlap
    if unfinished and overlap is Overlap.SKIP:
        return _one(due_at, Reason.OVERLAP)
    if unfinished >= schedule.plan.max_unfinished:
        return _one(due_at, Reason.LIMIT)
    return Run(
        due_at=due_at,
        cancels_earlier=bool(unfinished) and overlap is Overlap.CANCEL_RUNNING,
        is_queued=overlap is not Overlap.ALLOW,
    )


def _one(due_at: datetime, reason: Reason) -> Pass:
    return Pass(first_due_at=due_at, last_due_at=due_at, count=1, reason=reason)


def _between(schedule: Schedule, since: datetime, until: datetime) -> Iterator[datetime]:
    return due_between(schedule.plan.timing, since + _MOMENT, until)


def _range(schedule: Schedule, since: datetime, until: datetime, reason: Reason) -> Iterator[Pass]:
    """All due times after ``since`` up to ``until``, as one; nothing where there are none."""
    timing = schedule.plan.timing
    first = next(_between(schedule, since, until), None) if until > since else None
    if first is None:
        return
    last = last_due(timing, until + _MOMENT) or first
    count = _count(schedule, first, last)
    yield Pass(first_due_at=first, last_due_at=last, count=count, reason=reason)


def _count(schedule: Schedule, first: datetime, last: datetime) -> int | None:
    count = 0
    for _ in due_between(schedule.plan.timing, first, last):
        count += 1
        if count > _MOST_COUNTED:
            return None
    return count


def _joined(decisions: Iterator[Decision]) -> Iterator[Decision]:
    """Neighbours that are passed over for the same reason, as one."""
    waiting: Pass | None = None
    for decision in decisions:
        if isinstance(decision, Pass) and waiting is not None and decision.reason is waiting.reason:
            waiting = _together(waiting, decision)
            continue
        if waiting is not None:
            yield waiting
        waiting = decision if isinstance(decision, Pass) else None
        if isinstance(decision, Run):
            yield decision
    if waiting is not None:
        yield waiting


def _together(earlier: Pass, later: Pass) -> Pass:
    counts = (earlier.count, later.count)
    return Pass(
        first_due_at=earlier.first_due_at,
        last_due_at=later.last_due_at,
        count=None if None in counts else sum(count or 0 for count in counts),
        reason=earlier.reason,
    )
