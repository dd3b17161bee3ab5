"""Carry out what is due: each due time becomes a task or a recorded reason, in one write with the
schedule's own progress. So neither a crash nor a second server can make two of one."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from opspawn_jupyter.errors import (
    IllegalTransition,
    InvalidRequest,
    KeyTaken,
    NotFound,
    RecordChanged,
    ScheduleNotFound,
    Unavailable,
)
from opspawn_jupyter.model import clock
from opspawn_jupyter.model.event import Draft
from opspawn_jupyter.model.schedule import (
    DUE_LABEL,
    SCHEDULE_ID_LABEL,
    SCHEDULE_LABEL,
    SOURCE_LABEL,
    Cause,
    Firing,
    Reason,
    Schedule,
    ScheduleState,
    Source,
)
from opspawn_jupyter.model.states import EventType
from opspawn_jupyter.model.task import Submission, Task
from opspawn_jupyter.orchestrator.accept import Accepted, accept
from opspawn_jupyter.orchestrator.cancel import cancel
from opspawn_jupyter.orchestrator.context import Orchestration
from opspawn_jupyter.orchestrator.schedule_record import (
    Known,
    arm,
    change,
    find_known,
    fired,
    firing_key,
)
from opspawn_jupyter.orchestrator.submit import prepare
from opspawn_jupyter.scheduling.decide import Decision, Pass, Run, decide
from opspawn_jupyter.scheduling.due import last_due, next_due
from opspawn_jupyter.scheduling.template import fields, filled

logger = logging.getLogger(__name__)

#: Until a store that could not be written is tried again.
_PATIENCE = timedelta(seconds=5)


@dataclass(frozen=True, kw_only=True)
class Occasion:
    """What a task is to be submitted for."""

    due_at: datetime
    cause: Cause = Cause.DUE
    by: str = ""
    is_queued: bool = False
    #: Tells this occasion from others of the same cause; made up where it is empty.
    nonce: str = ""
    #: Further fields of the templates.
    fields: tuple[tuple[str, str], ...] = ()
    #: Parameters, as a person types them, that go before the plan's.
    parameters: tuple[tuple[str, str], ...] = ()


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
    try:
        for decision in decide(current.schedule, now, len(running)):
            current = await _carry_out(o, current, decision, running)
    except RecordChanged:
        return True
    return False


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
    has_more = following is not None or _has_triggers(schedule)
    return replace(
        schedule,
        accounted_until=until,
        next_due_at=following,
        state=schedule.state if has_more else ScheduleState.ENDED,
        state_reason=schedule.state_reason if has_more else "it has no due time any more",
    )


def _has_triggers(schedule: Schedule) -> bool:
    plan = schedule.plan
    return bool(plan.files or plan.follows or plan.webhook)


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

    def beside(task_id: str) -> tuple[Draft, Draft]:
        firing = Firing(
            schedule_id=schedule.id,
            due_at=occasion.due_at,
            last_due_at=occasion.due_at,
            cause=occasion.cause,
            task_id=task_id,
            message=occasion.by and f"started by {occasion.by}",
            decided_at=clock.now(),
        )
        after = _with_task(before, task_id)
        step = current.becomes(EventType.SCHEDULE_ADVANCED, after)
        return fired(firing, firing_key(firing, occasion.nonce)), step

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


def _with_task(schedule: Schedule, task_id: str) -> Schedule:
    return replace(schedule, unfinished=(*schedule.unfinished, task_id), last_task_id=task_id)


async def submission_for(o: Orchestration, schedule: Schedule, occasion: Occasion) -> Submission:
    """What is submitted for the occasion. Raises ``InvalidRequest`` for an unknown field."""
    plan = schedule.plan
    zone = ZoneInfo(plan.timing.timezone)
    due_at = occasion.due_at.astimezone(zone)
    before = last_due(plan.timing, occasion.due_at)
    start = before.astimezone(zone) if before is not None else due_at
    known = {**fields(plan.name, due_at, start), **dict(occasion.fields)}
    submission = filled(_with_parameters(plan.submission, dict(occasion.parameters)), known)
    if plan.source is Source.PINNED:
        submission = await asyncio.to_thread(_with_pinned, o, schedule, submission)
    return _with_policy(schedule, submission, occasion)


def _with_parameters(submission: Submission, given: dict[str, str]) -> Submission:
    if not given:
        return submission
    spec = submission.spec
    values = {
        name: value for name, value in spec.get("parameters", {}).items() if name not in given
    }
    texts = {**spec.get("parameters_text", {}), **given}
    return replace(submission, spec={**spec, "parameters": values, "parameters_text": texts})


def _with_policy(schedule: Schedule, submission: Submission, occasion: Occasion) -> Submission:
    plan, policy = schedule.plan, submission.policy
    if occasion.is_queued and policy.concurrency_key is None:
        policy = replace(policy, concurrency_key=f"schedule:{plan.name}")
    starts_at = occasion.due_at + timedelta(seconds=jitter_seconds(schedule, occasion.due_at))
    if starts_at > clock.now():
        policy = replace(policy, not_before=starts_at.astimezone(UTC))
    labels = {
        SCHEDULE_LABEL: plan.name,
        SCHEDULE_ID_LABEL: schedule.id,
        DUE_LABEL: occasion.due_at.astimezone(UTC).isoformat(timespec="seconds"),
        SOURCE_LABEL: plan.source.value,
    }
    recovery = plan.on_recovery if schedule.failures else ()
    return replace(
        submission,
        name=submission.name or plan.name,
        policy=policy,
        labels={**submission.labels, **labels},
        on_success=(*submission.on_success, *recovery),
    )


def jitter_seconds(schedule: Schedule, due_at: datetime) -> float:
    """By how much its task starts later: the same for the same due time, whoever asks."""
    digest = sha256(f"{schedule.id}:{due_at.timestamp()}".encode()).digest()
    return schedule.plan.jitter_seconds * int.from_bytes(digest[:4]) / 2**32


def pinned_file(o: Orchestration, schedule_id: str, digest: str) -> Path:
    """Where the pinned notebook of this content lies."""
    return o.settings.state_directory / "schedules" / schedule_id / f"{digest}.ipynb"


def _with_pinned(o: Orchestration, schedule: Schedule, submission: Submission) -> Submission:
    path = pinned_file(o, schedule.id, schedule.pinned_sha256 or "")
    try:
        content: dict[str, Any] = json.loads(path.read_bytes())
    except (OSError, ValueError) as failure:
        hint = f"its pinned notebook is gone; edit the schedule to pin it again ({failure})"
        raise InvalidRequest(schedule.name, hint=hint) from failure
    notebook = str(submission.spec.get("notebook", ""))
    spec = {
        "working_directory": Path(notebook).parent.as_posix(),
        **{name: value for name, value in submission.spec.items() if value is not None},
        "notebook": None,
        "content": content,
    }
    return replace(submission, spec=spec)


async def rewind(o: Orchestration, schedule_id: str, now: datetime) -> None:
    """The clock was set back: look for due times from now on again. What had its task before is
    not given another one."""

    async def step(current: Known) -> tuple[Draft, ...]:
        if current.schedule.accounted_until <= now:
            return ()
        after = advanced(current.schedule, now)
        return (current.becomes(EventType.SCHEDULE_REWOUND, after),)

    await change(o, schedule_id, step)
