"""What became of a schedule's due times."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from opspawn_jupyter.model import clock, wire
from opspawn_jupyter.model.firing import Cause, Firing, Reason
from opspawn_jupyter.model.ids import short
from opspawn_jupyter.model.record import RecordQuery
from opspawn_jupyter.model.schedule import Schedule, ScheduleState
from opspawn_jupyter.model.schedule_view import DueAnswer, FiringList
from opspawn_jupyter.model.states import Subject
from opspawn_jupyter.orchestrator.context import Orchestration
from opspawn_jupyter.orchestrator.schedule_record import find_known, stamp
from opspawn_jupyter.scheduling.due import due_between, is_due, next_due

_SENTENCES = {
    Reason.OVERLAP: "an earlier task of the schedule had not ended (overlap: skip)",
    Reason.MISSED: "no server ran at the time, and catch_up is none",
    Reason.SUPERSEDED: "no server ran at the time, and a later due time was run in its place "
    "(catch_up: latest)",
    Reason.OUTSIDE_WINDOW: "no server ran at the time, and when one did it was longer ago than "
    "catch_up_window_seconds",
    Reason.PAUSED: "the schedule was paused",
    Reason.LIMIT: "max_unfinished tasks of the schedule were waiting already",
    Reason.UPSTREAM_FAILED: "what it follows did not succeed",
    Reason.REFUSED: "the task was refused",
}


async def history(o: Orchestration, reference: str, limit: int, before: str | None) -> FiringList:
    """What became of its due times, and of other occasions, newest first."""
    schedule = (await find_known(o, reference)).schedule
    query = RecordQuery(
        subject=Subject.FIRING, key_prefix=f"{schedule.id}:", limit=limit, before=before
    )
    records = await o.store.records(query)
    return FiringList(
        schedule=schedule.name,
        firings=tuple(wire.decode(Firing, record.content) for record in records),
        next_cursor=records[-1].id if len(records) == limit else None,
    )


async def why(o: Orchestration, reference: str, moment: datetime) -> DueAnswer:
    """What became of the due time, in one sentence. A moment without an offset is in the
    schedule's own zone."""
    schedule = (await find_known(o, reference)).schedule
    zone = ZoneInfo(schedule.plan.timing.timezone)
    local = moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)
    due_at = _meant(schedule, local.astimezone(UTC))
    firing = await _covering(o, schedule, due_at)
    return DueAnswer(
        schedule=schedule.name,
        due_at=due_at,
        message=_sentence(schedule, due_at, firing),
        firing=firing,
        next_due_at=schedule.next_due_at,
    )


def _meant(schedule: Schedule, moment: datetime) -> datetime:
    """The due time within the minute, where only a minute was named; or the moment itself."""
    if moment.second or moment.microsecond:
        return moment
    end = moment + timedelta(minutes=1) - timedelta(microseconds=1)
    return next(due_between(schedule.plan.timing, moment, end), moment)


async def _covering(o: Orchestration, schedule: Schedule, due_at: datetime) -> Firing | None:
    """What is recorded of the due time; a task that was made up for later goes first."""
    backfilled = await o.store.record_by_key(
        Subject.FIRING, f"{schedule.id}:{stamp(due_at)}+backfill"
    )
    if backfilled is not None:
        return wire.decode(Firing, backfilled.content)
    query = RecordQuery(
        subject=Subject.FIRING,
        key_prefix=f"{schedule.id}:",
        key_from=f"{schedule.id}:{stamp(due_at)}",
        limit=1,
    )
    firings = [wire.decode(Firing, record.content) for record in await o.store.records(query)]
    return next((one for one in firings if one.covers(due_at) and one.cause is Cause.DUE), None)


def _sentence(schedule: Schedule, due_at: datetime, firing: Firing | None) -> str:
    if firing is not None:
        return told(firing)
    if not is_due(schedule.plan.timing, due_at):
        return _not_due(schedule, due_at)
    return "it is still to come" if due_at > clock.now() else _unrecorded(schedule, due_at)


def _unrecorded(schedule: Schedule, due_at: datetime) -> str:
    if schedule.state is ScheduleState.PAUSED:
        return f"the schedule is paused, {schedule.state_reason}"
    if due_at <= schedule.created_at:
        return "the schedule was made later"
    if due_at <= schedule.accounted_until:
        return "the schedule had another plan at the time"
    return "it is being dealt with at this moment"


def _not_due(schedule: Schedule, due_at: datetime) -> str:
    timing = schedule.plan.timing
    zone = ZoneInfo(timing.timezone)
    day = due_at.astimezone(zone).date().isoformat()
    if day in timing.exclude_dates:
        return f"it was not due: {day} is excluded"
    following = next_due(timing, due_at)
    if following is None:
        return "it is not due at this time, nor later"
    said = following.astimezone(zone)
    return f"it is not due at this time; the next after it is {said:%Y-%m-%d %H:%M:%S %Z}"


def told(firing: Firing) -> str:
    """What became of it, in a sentence."""
    if firing.task_id is not None:
        after = {Cause.DUE: "", Cause.BACKFILL: ", by a backfill"}.get(firing.cause, "")
        return f"task {short(firing.task_id)} was submitted for it{after}"
    reason = _SENTENCES[firing.reason] if firing.reason is not None else "nobody knows why"
    more = f": {firing.message}" if firing.message else ""
    return f"no task: {reason}{more}"
