"""Schedules and their firings as the store keeps them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from opspawn_jupyter.errors import RecordChanged, ScheduleNotFound
from opspawn_jupyter.model import wire
from opspawn_jupyter.model.event import Draft
from opspawn_jupyter.model.firing import Cause, Firing
from opspawn_jupyter.model.ids import new_id
from opspawn_jupyter.model.record import Change, Record, RecordQuery, draft
from opspawn_jupyter.model.schedule import Schedule
from opspawn_jupyter.model.states import EventType, Subject
from opspawn_jupyter.orchestrator.context import Orchestration

#: Schedules that one server has room for.
MOST_SCHEDULES = 100_000
_TRIES = 20


@dataclass(frozen=True)
class Known:
    """A schedule, and the version of its record that says so."""

    schedule: Schedule
    version: int

    def becomes(self, type: EventType, schedule: Schedule) -> Draft:
        """The event that makes it another one."""
        change = Change(
            id=schedule.id,
            version=self.version + 1,
            content=wire.encode(schedule),
            is_open=schedule.is_open,
            key=schedule.name,
        )
        return draft(type, change)


def known(record: Record) -> Known:
    """The schedule in a record."""
    return Known(wire.decode(Schedule, record.content), record.version)


async def every_schedule(o: Orchestration) -> tuple[Known, ...]:
    """All that are not deleted."""
    query = RecordQuery(subject=Subject.SCHEDULE, is_open=True, limit=MOST_SCHEDULES)
    records = await o.store.records(query)
    # In a thread: to read ten thousand of them takes a second.
    return await asyncio.to_thread(lambda: tuple(known(record) for record in records))


async def find_known(o: Orchestration, reference: str) -> Known:
    """The one of this name or id. Raises ``ScheduleNotFound``."""
    record = await o.store.record(Subject.SCHEDULE, reference)
    record = record or await o.store.record_by_key(Subject.SCHEDULE, reference)
    if record is None or not record.is_open:
        raise ScheduleNotFound(reference)
    return known(record)


async def change(
    o: Orchestration,
    reference: str,
    step: Callable[[Known], Awaitable[tuple[Draft, ...]]],
) -> Schedule:
    """The schedule after ``step`` has said what becomes of it; looked at again as often as somebody
    else was quicker. No events mean that nothing is to change."""
    for _ in range(_TRIES):
        current = await find_known(o, reference)
        try:
            drafts = await step(current)
            if drafts:
                await o.record(*drafts)
        except RecordChanged:
            continue
        last = await o.store.record(Subject.SCHEDULE, current.schedule.id)
        after = known(last).schedule if last is not None else current.schedule
        arm(o, after)
        return after
    raise RecordChanged(reference)


def arm(o: Orchestration, schedule: Schedule) -> None:
    """Have it looked at when it is due next, and found by what else starts it."""
    o.triggers.take(schedule)
    if schedule.next_due_at is not None and schedule.is_open:
        o.schedule_alarm.set(schedule.id, schedule.next_due_at)


def fired(firing: Firing, key: str, replaced: Record | None = None) -> Draft:
    """The event that says what became of due times; the key keeps it from being said twice.
    ``replaced``: what had been said of the same before."""
    change = Change(
        id=replaced.id if replaced else new_id(),
        version=replaced.version + 1 if replaced else 1,
        content=wire.encode(firing),
        is_open=False,
        key=key,
    )
    is_task = firing.task_id is not None
    type = EventType.FIRING_SUBMITTED if is_task else EventType.FIRING_PASSED
    return draft(type, change, firing.task_id or "")


def firing_key(firing: Firing, nonce: str = "") -> str:
    """Unique for a due time. Keys of clock firings sort by their last due time, so that the first
    one that is not lower than a moment is the one that may cover it; those of others sort behind.
    """
    prefix = f"{firing.schedule_id}:"
    if firing.cause is Cause.BACKFILL:
        return f"{prefix}{stamp(firing.due_at)}+backfill"
    if firing.cause is not Cause.DUE:
        return f"{prefix}~{firing.cause.value}:{nonce or new_id()}"
    if firing.due_at == firing.last_due_at:
        return due_key(firing.schedule_id, firing.due_at)
    return f"{prefix}{stamp(firing.last_due_at)}/{stamp(firing.due_at)}"


def due_key(schedule_id: str, due_at: datetime) -> str:
    """The key of what is said of one due time alone."""
    return f"{schedule_id}:{stamp(due_at)}"


def stamp(moment: datetime) -> str:
    """The moment in UTC, always of the same length."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds")
