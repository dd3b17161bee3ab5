"""Have a schedule run for a period in which it had no tasks."""

from __future__ import annotations

from datetime import UTC, datetime

from opspawn_jupyter.errors import InvalidRequest, RecordChanged
from opspawn_jupyter.model import clock, wire
from opspawn_jupyter.model.firing import Cause, Firing
from opspawn_jupyter.model.schedule import Overlap
from opspawn_jupyter.model.schedule_view import Period
from opspawn_jupyter.model.states import Subject
from opspawn_jupyter.orchestrator.context import Orchestration
from opspawn_jupyter.orchestrator.firing import fire
from opspawn_jupyter.orchestrator.occasion import Occasion
from opspawn_jupyter.orchestrator.schedule_record import due_key, find_known
from opspawn_jupyter.scheduling.due import due_between

_MOST_BACKFILLED = 1_000
_TRIES = 20


async def backfill(o: Orchestration, reference: str, period: Period, by: str) -> tuple[Firing, ...]:
    """A task for each due time of the period that has none, oldest first; they wait for each
    other unless ``overlap`` allows them together."""
    current = await find_known(o, reference)
    timing = current.schedule.plan.timing
    start, end = _moment(period.start, "start"), _moment(period.end, "end")
    end = min(end, clock.now())
    due_times = []
    for due_at in due_between(timing, start, end):
        due_times.append(due_at)
        if len(due_times) > _MOST_BACKFILLED:
            hint = f"it has more than {_MOST_BACKFILLED} due times; take a shorter period"
            raise InvalidRequest(hint=hint)
    if not due_times:
        raise InvalidRequest(hint="the schedule was not due in this period")
    firings = [await _fill(o, reference, due_at, by) for due_at in due_times]
    return tuple(firing for firing in firings if firing is not None)


async def _fill(o: Orchestration, reference: str, due_at: datetime, by: str) -> Firing | None:
    for _ in range(_TRIES):
        current = await find_known(o, reference)
        schedule = current.schedule
        earlier = await o.store.record_by_key(Subject.FIRING, due_key(schedule.id, due_at))
        if earlier is not None and wire.decode(Firing, earlier.content).task_id is not None:
            return None
        is_queued = schedule.plan.overlap is not Overlap.ALLOW
        occasion = Occasion(due_at=due_at, cause=Cause.BACKFILL, by=by, is_queued=is_queued)
        try:
            _, task_id = await fire(o, current, occasion)
        except RecordChanged:
            continue
        if task_id is None:
            return None
        return Firing(
            schedule_id=schedule.id,
            due_at=due_at,
            last_due_at=due_at,
            cause=Cause.BACKFILL,
            task_id=task_id,
            decided_at=clock.now(),
        )
    raise RecordChanged(reference)


def _moment(moment: datetime, name: str) -> datetime:
    if moment.tzinfo is None:
        hint = f"{name} needs a UTC offset, as 2030-01-31T09:00+01:00"
        raise InvalidRequest(moment.isoformat(), hint=hint)
    return moment.astimezone(UTC)
