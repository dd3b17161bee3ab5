"""What the end of a task means for its schedule, and for those that follow it."""

from __future__ import annotations

import json
import logging
from contextlib import suppress
from dataclasses import dataclass, replace
from hashlib import sha256

from opspawn_jupyter.errors import (
    InvalidRequest,
    KeyTaken,
    NotFound,
    RecordChanged,
    ScheduleNotFound,
)
from opspawn_jupyter.model import clock, wire
from opspawn_jupyter.model.event import Draft
from opspawn_jupyter.model.firing import Cause, Ended, Firing, Reason
from opspawn_jupyter.model.schedule import (
    SCHEDULE_ID_LABEL,
    Overlap,
    Schedule,
    ScheduleState,
    Unsettled,
)
from opspawn_jupyter.model.states import EventType, State
from opspawn_jupyter.model.task import Task
from opspawn_jupyter.orchestrator.context import Orchestration
from opspawn_jupyter.orchestrator.firing import fire, unfinished
from opspawn_jupyter.orchestrator.occasion import Occasion
from opspawn_jupyter.orchestrator.schedule_record import (
    Known,
    change,
    find_known,
    fired,
    firing_key,
)
from opspawn_jupyter.orchestrator.schedule_unsettled import is_owed, left_by

logger = logging.getLogger(__name__)

#: Outcomes that say nothing about the schedule.
_NEUTRAL = (State.CANCELLED, State.SKIPPED)
#: Somebody waits for the answer.
ASKED = (Cause.MANUAL, Cause.MCP)
_TRIES = 20


@dataclass(frozen=True)
class Unstarted:
    """Something that would have started a task, and why it did not."""

    cause: Cause
    nonce: str
    reason: Reason
    message: str = ""


async def follow_up(o: Orchestration, task: Task) -> Ended | None:
    """Account for the task's end, once, and start what follows it; None where the task is none of a
    schedule's, or was accounted for before."""
    ended = await _account_for(o, task)
    concerned = {*o.triggers.after_workflow(task)}
    if ended is not None:
        concerned |= {*o.triggers.after_schedule(ended.schedule.name)}
    for schedule_id in sorted(concerned):
        await concern(o, schedule_id, task)
    return ended


async def _account_for(o: Orchestration, task: Task) -> Ended | None:
    schedule_id = task.labels.get(SCHEDULE_ID_LABEL)
    if schedule_id is None:
        return None
    found: list[Unsettled] = []

    async def step(current: Known) -> tuple[Draft, ...]:
        found.clear()
        if task.id not in current.schedule.unfinished:
            return ()
        left = left_by(current.schedule, task, digest(task))
        found.append(left)
        after = _after(current.schedule, task)
        if is_owed(after.plan, left):
            after = replace(after, unsettled=(*after.unsettled, left))
        is_paused = after.state is not current.schedule.state
        type = EventType.SCHEDULE_PAUSED if is_paused else EventType.SCHEDULE_ADVANCED
        return (current.becomes(type, after),)

    try:
        after = await change(o, schedule_id, step)
    except ScheduleNotFound:
        return None
    return Ended(task=task, schedule=after, left=found[0]) if found else None


def _after(schedule: Schedule, task: Task) -> Schedule:
    rest = tuple(task_id for task_id in schedule.unfinished if task_id != task.id)
    ended = replace(schedule, unfinished=rest)
    if task.state in _NEUTRAL:
        return ended
    if task.state is State.SUCCESS:
        return replace(ended, failures=0, result_digest=digest(task))
    failures = schedule.failures + 1
    most = schedule.plan.pause_after_failures
    if most and failures >= most and schedule.state is ScheduleState.ACTIVE:
        reason = f"{failures} tasks in a row did not succeed"
        logger.warning("schedule paused schedule=%s reason=%s", schedule.name, reason)
        return replace(ended, failures=failures, state=ScheduleState.PAUSED, state_reason=reason)
    return replace(ended, failures=failures)


def digest(task: Task) -> str:
    """Tells whether two tasks had the same outputs."""
    text = json.dumps(wire.encode(task.outputs), sort_keys=True)
    return sha256(text.encode()).hexdigest()


async def concern(o: Orchestration, schedule_id: str, task: Task) -> None:
    """Have a schedule that follows what the task is of start one of its own, or say why not."""
    with suppress(ScheduleNotFound):  # it was deleted meanwhile
        if task.state is State.SUCCESS:
            fields = (("upstream_task_id", task.id),)
            await trigger(o, schedule_id, Cause.COMPLETION, nonce=task.id, fields=fields)
        elif task.state is not State.CANCELLED:
            message = f"task {task.id} of {task.name} was {task.state.value}"
            not_run = Unstarted(Cause.COMPLETION, task.id, Reason.UPSTREAM_FAILED, message)
            await _say(o, (await find_known(o, schedule_id)).schedule, not_run)


async def trigger(
    o: Orchestration,
    reference: str,
    cause: Cause,
    *,
    by: str = "",
    nonce: str = "",
    fields: tuple[tuple[str, str], ...] = (),
    parameters: tuple[tuple[str, str], ...] = (),
) -> Task | None:
    """Start a task for another reason than the clock; None where there is a reason why not, which
    is recorded. What somebody asks for is not held up by a pause, and is refused aloud."""
    for _ in range(_TRIES):
        current = await find_known(o, reference)
        reason = None if cause in ASKED else await _hindrance(o, current.schedule)
        if reason is not None:
            await _say(o, current.schedule, Unstarted(cause, nonce, reason))
            return None
        now = clock.now().replace(microsecond=0)
        is_queued = current.schedule.plan.overlap is not Overlap.ALLOW
        occasion = Occasion(
            due_at=now,
            cause=cause,
            by=by,
            is_queued=is_queued,
            nonce=nonce,
            fields=fields,
            parameters=parameters,
        )
        try:
            _, task_id = await fire(o, current, occasion)
        except RecordChanged:
            continue
        except (InvalidRequest, NotFound) as refusal:
            if cause in ASKED:
                raise
            refused = Unstarted(cause, nonce, Reason.REFUSED, refusal.message)
            await _say(o, current.schedule, refused)
            return None
        return await o.store.task(task_id) if task_id is not None else None
    raise RecordChanged(reference)


async def _hindrance(o: Orchestration, schedule: Schedule) -> Reason | None:
    if schedule.state is not ScheduleState.ACTIVE:
        return Reason.PAUSED
    running = len(await unfinished(o, schedule))
    if running and schedule.plan.overlap is Overlap.SKIP:
        return Reason.OVERLAP
    return Reason.LIMIT if running >= schedule.plan.max_unfinished else None


async def _say(o: Orchestration, schedule: Schedule, unstarted: Unstarted) -> None:
    now = clock.now()
    firing = Firing(
        schedule_id=schedule.id,
        due_at=now,
        last_due_at=now,
        cause=unstarted.cause,
        reason=unstarted.reason,
        message=unstarted.message,
        decided_at=now,
    )
    with suppress(KeyTaken):  # it was said before
        await o.record(fired(firing, firing_key(firing, unstarted.nonce)))
