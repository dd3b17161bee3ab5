"""Schedules: make, pause, resume, start and delete them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from opspawn_jupyter.errors import KeyTaken, RecordChanged
from opspawn_jupyter.model import clock
from opspawn_jupyter.model.event import Draft
from opspawn_jupyter.model.firing import Cause
from opspawn_jupyter.model.ids import new_id
from opspawn_jupyter.model.schedule import Plan, Schedule, ScheduleState
from opspawn_jupyter.model.schedule_view import ScheduleView
from opspawn_jupyter.model.states import EventType, Subject
from opspawn_jupyter.model.task import Task
from opspawn_jupyter.orchestrator.context import Orchestration
from opspawn_jupyter.orchestrator.firing import account, advanced, paused_until
from opspawn_jupyter.orchestrator.schedule_check import checked
from opspawn_jupyter.orchestrator.schedule_outcome import trigger
from opspawn_jupyter.orchestrator.schedule_record import Known, arm, change, find_known
from opspawn_jupyter.orchestrator.schedule_view import view
from opspawn_jupyter.orchestrator.schedule_webhook import new_token
from opspawn_jupyter.scheduling.check import check_plan
from opspawn_jupyter.scheduling.due import next_due


async def create(o: Orchestration, plan: Plan, by: str) -> ScheduleView:
    """The schedule, checked as its tasks will be; with the token of its webhook, if it has one.

    Raises ``InvalidRequest`` or ``NotFound`` where it could not run, ``KeyTaken`` for a name that
    another schedule has. Nothing is stored then.
    """
    now = clock.now()
    check_plan(plan, now)
    record = await o.store.record_by_key(Subject.SCHEDULE, plan.name)
    if record is not None and record.is_open:
        hint = "or change the one that there is with `schedule edit`"
        if record.key != plan.name:
            hint = f"it is an earlier name of {record.key}"
        raise KeyTaken(plan.name, hint=hint)
    token, digest = new_token() if plan.webhook else (None, None)
    schedule = Schedule(
        id=record.id if record else new_id(),
        plan=plan,
        created_at=now,
        created_by=by,
        accounted_until=now,
        next_due_at=next_due(plan.timing, now),
        token_sha256=digest,
    )
    schedule = await checked(o, schedule)
    before = Known(schedule, record.version if record else 0)
    await o.record(before.becomes(EventType.SCHEDULE_CREATED, schedule))
    arm(o, schedule)
    return view(schedule, token=token)


async def pause(o: Orchestration, reference: str, by: str) -> ScheduleView:
    """Not due any more until it is resumed. Tasks that run go on."""
    await account(o, (await find_known(o, reference)).schedule.id, clock.now())

    async def step(current: Known) -> tuple[Draft, ...]:
        if current.schedule.state is not ScheduleState.ACTIVE:
            return ()
        after = replace(
            current.schedule,
            state=ScheduleState.PAUSED,
            state_reason=f"by {by}",
            accounted_until=clock.now(),
        )
        return (current.becomes(EventType.SCHEDULE_PAUSED, after),)

    return view(await change(o, reference, step))


async def resume(o: Orchestration, reference: str) -> ScheduleView:
    """Due again from now on. What was due meanwhile is recorded as paused."""

    async def step(current: Known) -> tuple[Draft, ...]:
        if current.schedule.state is not ScheduleState.PAUSED:
            return ()
        now = clock.now()
        active = replace(current.schedule, state=ScheduleState.ACTIVE, state_reason="", failures=0)
        resumed = current.becomes(EventType.SCHEDULE_RESUMED, advanced(active, now))
        return (*paused_until(current.schedule, now), resumed)

    return view(await change(o, reference, step))


async def delete(o: Orchestration, reference: str) -> Schedule:
    """The schedule is no more; its tasks, also those that run, and its history stay."""
    await account(o, (await find_known(o, reference)).schedule.id, clock.now())

    async def step(current: Known) -> tuple[Draft, ...]:
        after = replace(current.schedule, state=ScheduleState.DELETED, next_due_at=None)
        gap = paused_until(current.schedule, clock.now())
        return (*gap, current.becomes(EventType.SCHEDULE_DELETED, after))

    return await change(o, reference, step)


async def start(
    o: Orchestration,
    reference: str,
    by: str,
    parameters: Mapping[str, str] | None = None,
    cause: Cause = Cause.MANUAL,
) -> Task:
    """A task now, whatever the time, and whether or not it is paused; with these parameters, as a
    person types them, in place of its own of the same names."""
    given = tuple((parameters or {}).items())
    task = await trigger(o, reference, cause, by=by, parameters=given)
    if task is None:
        raise RecordChanged(reference)
    return task
