"""Carry out what is due: each due time becomes a task or a recorded reason, in one write with the
schedule's own progress. So neither a crash nor a second server can make two of one."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from opspawn_jupyter.errors import (
    IllegalTransition,
    InvalidRequest,
    KeyTaken,
    NotFound,
    RecordChanged,
    ScheduleNotFound,
    Unavailable,
)
from opspawn_jupyter.model import clock, wire
from opspawn_jupyter.model.event import Draft
from opspawn_jupyter.model.firing import Cause, Firing, Reason
from opspawn_jupyter.model.record import Record
from opspawn_jupyter.model.schedule import Schedule, ScheduleState
from opspawn_jupyter.model.states import EventType, Subject
from opspawn_jupyter.model.task import Task
from opspawn_jupyter.orchestrator.accept import Accepted, accept
from opspawn_jupyter.orchestrator.cancel import cancel
from opspawn_jupyter.orchestrator.context import Orchestration
from opspawn_jupyter.orchestrator.occasion import Occasion, submission_for
from opspawn_jupyter.orchestrator.schedule_record import (
    Known,
    arm,
    change,
    due_key,
    find_known,
    fired,
    firing_key,
)
from opspawn_jupyter.orchestrator.submit import prepare
from opspawn_jupyter.scheduling.decide import Decision, Pass, Run, decide
from opspawn_jupyter.scheduling.due import next_due

logger = logging.getLogger(__name__)

#: Until a store that could not be written is tried again.
_PATIENCE = timedelta(seconds=5)


async def account(o: Orchestration, schedule_id: str, now: datetime) -> None:
    """Do what is due of the schedule by now. Does nothing where nothing is."""
    try:
        while await _account(o, schedule_id, now):
            pass
    except ScheduleNotFound:
        logger.debug("schedule was deleted before it was due schedule_id=%s", schedule_id)
    except Unavailable as problem:
        o.schedule_alarm.set(schedule_id, now + _PATIENCE)
        logger.warning("schedule is put off schedule_id=%s reason=%s", schedule_id, problem)


async def _account(o: Orchestration, schedule_id: str, now: datetime) -> bool:
    """Whether to look again, because somebody else was quicker."""
    current = await find_known(o, schedule_id)
    if current.schedule.state is not ScheduleState.ACTIVE:
        return False
    running = await unfinished(o, current.schedule)
    decisions = decide(current.schedule, now, len(running))
    if not decisions:  # another server was quicker; this one is there when that one is gone
        _arm_again(o, current.schedule, now)
    try:
        for decision in decisions:
            current = await _carry_out(o, current, decision, running)
    except RecordChanged:
        return True
    return False


def _arm_again(o: Orchestration, schedule: Schedule, now: datetime) -> None:
    if schedule.next_due_at is not None and schedule.next_due_at > now:
        arm(o, schedule)


async def unfinished(o: Orchestration, schedule: Schedule) -> tuple[Task, ...]:
    """The schedule's tasks that have not ended."""
    tasks = await asyncio.gather(*(o.store.task(task_id) for task_id in schedule.unfinished))
    return tuple(task for task in tasks if task is not None and not task.state.is_final)


async def _carry_out(
    o: Orchestration, current: Known, decision: Decision, running: Sequence[Task]
) -> Known:
    if isinstance(decision, Pass):
        return await _pass(o, current, decision)
    if decision.cancels_earlier:
        await _cancel(o, running, current.schedule)
    occasion = Occasion(due_at=decision.due_at, is_queued=decision.is_queued)
    try:
        return (await fire(o, current, occasion))[0]
    except (InvalidRequest, NotFound) as refusal:
        return await _pass(o, current, _refused(decision), refusal.message)


def _refused(run: Run) -> Pass:
    return Pass(first_due_at=run.due_at, last_due_at=run.due_at, count=1, reason=Reason.REFUSED)


async def _cancel(o: Orchestration, running: Sequence[Task], schedule: Schedule) -> None:
    for task in running:
        try:
            await cancel(o, task.id, by=f"schedule {schedule.name}")
        except IllegalTransition:
            logger.debug("task ended before it was cancelled task_id=%s", task.id)


async def _pass(o: Orchestration, current: Known, given: Pass, message: str = "") -> Known:
    firing = passed(current.schedule, given, message)
    after = advanced(current.schedule, given.last_due_at)
    said = fired(firing, firing_key(firing))
    logger.info(
        "schedule passed schedule=%s due_at=%s reason=%s",
        after.name,
        given.last_due_at.isoformat(),
        given.reason.value,
    )
    return await _advance(o, current, after, said)


async def _advance(o: Orchestration, current: Known, after: Schedule, said: Draft) -> Known:
    step = current.becomes(EventType.SCHEDULE_ADVANCED, after)
    try:
        await o.record(said, step)
    except KeyTaken:  # it came before, when the clock was ahead: only go on
        await o.record(step)
    arm(o, after)
    return Known(after, current.version + 1)


def passed(schedule: Schedule, given: Pass, message: str = "") -> Firing:
    """What became of due times without a task."""
    return Firing(
        schedule_id=schedule.id,
        due_at=given.first_due_at,
        last_due_at=given.last_due_at,
        count=given.count,
        reason=given.reason,
        message=message,
        decided_at=clock.now(),
    )


def advanced(schedule: Schedule, until: datetime) -> Schedule:
    """The schedule with every due time up to ``until`` accounted for."""
    following = next_due(schedule.plan.timing, until)
    has_more = following is not None or schedule.plan.has_triggers
    return replace(
        schedule,
        accounted_until=until,
        next_due_at=following,
        state=schedule.state if has_more else ScheduleState.ENDED,
        state_reason=schedule.state_reason if has_more else "it has no due time any more",
    )


async def fire(o: Orchestration, current: Known, occasion: Occasion) -> tuple[Known, str | None]:
    """Submit a task for the occasion; the schedule after it, and the task's id, or None where the
    occasion had been accounted for before.

    Raises ``InvalidRequest`` or ``NotFound`` where the task is refused, ``RecordChanged`` where
    somebody else was quicker; nothing is stored then.
    """
    schedule = current.schedule
    submission = await submission_for(o, schedule, occasion)
    prepared = await prepare(o, submission)
    is_due = occasion.cause is Cause.DUE
    before = advanced(schedule, occasion.due_at) if is_due else schedule
    replaced = await _passed_before(o, schedule, occasion)

    def beside(task_id: str) -> tuple[Draft, Draft]:
        firing = Firing(
            schedule_id=schedule.id,
            due_at=occasion.due_at,
            last_due_at=occasion.due_at,
            cause=occasion.cause,
            task_id=task_id,
            source=schedule.plan.source,
            message=occasion.by and f"started by {occasion.by}",
            decided_at=clock.now(),
        )
        after = _with_task(before, task_id)
        step = current.becomes(EventType.SCHEDULE_ADVANCED, after)
        return fired(firing, firing_key(firing, occasion.nonce), replaced), step

    by = occasion.by or schedule.created_by
    asked = Accepted(submission=submission, prepared=prepared, submitted_by=by, beside=beside)
    try:
        task = await accept(o, asked)
    except KeyTaken:
        step = current.becomes(EventType.SCHEDULE_ADVANCED, before)
        await o.record(step)
        arm(o, before)
        return Known(before, current.version + 1), None
    arm(o, before)
    logger.info("schedule fired schedule=%s task_id=%s", schedule.name, task.id)
    return Known(_with_task(before, task.id), current.version + 1), task.id


async def _passed_before(o: Orchestration, schedule: Schedule, occasion: Occasion) -> Record | None:
    """The reason that was recorded of this due time when the clock was ahead; its task takes the
    place of it."""
    if occasion.cause is not Cause.DUE:
        return None
    key = due_key(schedule.id, occasion.due_at)
    record = await o.store.record_by_key(Subject.FIRING, key)
    if record is None or wire.decode(Firing, record.content).task_id is not None:
        return None
    return record


def _with_task(schedule: Schedule, task_id: str) -> Schedule:
    return replace(schedule, unfinished=(*schedule.unfinished, task_id), last_task_id=task_id)


def paused_until(schedule: Schedule, now: datetime) -> tuple[Draft, ...]:
    """What the pause has passed over so far, recorded."""
    if schedule.state is not ScheduleState.PAUSED:
        return ()
    firings = [
        passed(schedule, decision, schedule.state_reason)
        for decision in decide(schedule, now, 0)
        if isinstance(decision, Pass)
    ]
    return tuple(fired(firing, firing_key(firing)) for firing in firings)


async def rewind(o: Orchestration, schedule_id: str, now: datetime) -> None:
    """The clock was set back: look for due times from now on again. What had its task before is
    not given another one; what was passed over is given its one task, if there is no reason now."""

    async def step(current: Known) -> tuple[Draft, ...]:
        if current.schedule.accounted_until <= now:
            return ()
        after = advanced(current.schedule, now)
        return (current.becomes(EventType.SCHEDULE_REWOUND, after),)

    await change(o, schedule_id, step)
