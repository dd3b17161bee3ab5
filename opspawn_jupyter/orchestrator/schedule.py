"""Schedules: make, change, pause, resume and delete them, and have them run for a period."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from opspawn_jupyter.errors import (
    InvalidRequest,
    KeyTaken,
    NotAuthenticated,
    RecordChanged,
    StoreUnavailable,
)
from opspawn_jupyter.files import write_atomic
from opspawn_jupyter.model import clock, wire
from opspawn_jupyter.model.event import Draft
from opspawn_jupyter.model.ids import new_id
from opspawn_jupyter.model.schedule import (
    Cause,
    Edit,
    Firing,
    Overlap,
    Period,
    Plan,
    Preview,
    Schedule,
    ScheduleList,
    ScheduleState,
    ScheduleView,
    Source,
    Timing,
)
from opspawn_jupyter.model.states import EventType, Subject
from opspawn_jupyter.model.task import Submission, Task
from opspawn_jupyter.orchestrator.context import Orchestration
from opspawn_jupyter.orchestrator.firing import (
    Occasion,
    account,
    advanced,
    fire,
    passed,
    pinned_file,
    submission_for,
)
from opspawn_jupyter.orchestrator.hooks import check_hooks
from opspawn_jupyter.orchestrator.schedule_outcome import trigger
from opspawn_jupyter.orchestrator.schedule_record import (
    Known,
    arm,
    change,
    every_schedule,
    find_known,
    fired,
    firing_key,
    known,
    stamp,
)
from opspawn_jupyter.orchestrator.submit import prepare
from opspawn_jupyter.parsing import parse
from opspawn_jupyter.scheduling.check import check_plan, check_timing
from opspawn_jupyter.scheduling.decide import Pass, decide
from opspawn_jupyter.scheduling.due import due_between, next_due, next_times
from opspawn_jupyter.scheduling.words import words

_MOST_BACKFILLED = 1_000
_NEXT = 5
_TRIES = 20


async def create(o: Orchestration, plan: Plan, by: str) -> ScheduleView:
    """The schedule, checked as its tasks will be; with the token of its webhook, if it has one.

    Raises ``InvalidRequest`` or ``NotFound`` where it could not run, ``KeyTaken`` for a name that
    another schedule has. Nothing is stored then.
    """
    now = clock.now()
    check_plan(plan, now)
    record = await o.store.record_by_key(Subject.SCHEDULE, plan.name)
    if record is not None and record.is_open:
        raise KeyTaken(plan.name, hint="or change the one that there is with `schedule edit`")
    token = secrets.token_urlsafe(24) if plan.webhook else None
    schedule = Schedule(
        id=record.id if record else new_id(),
        plan=plan,
        created_at=now,
        created_by=by,
        accounted_until=now,
        next_due_at=next_due(plan.timing, now),
        token_sha256=_digest(token) if token else None,
    )
    schedule = await _checked(o, schedule)
    before = Known(schedule, record.version if record else 0)
    await o.record(before.becomes(EventType.SCHEDULE_CREATED, schedule))
    arm(o, schedule)
    return view(schedule, token=token)


async def edit(o: Orchestration, reference: str, given: Edit) -> ScheduleView:
    """The schedule with another plan. What was due before is done by the old one first."""
    await account(o, (await find_known(o, reference)).schedule.id, clock.now())

    async def step(current: Known) -> tuple[Draft, ...]:
        now = clock.now()
        plan = _edited(current.schedule.plan, given.changes)
        check_plan(plan, now)
        state = current.schedule.state
        after = replace(
            current.schedule,
            plan=plan,
            state=ScheduleState.ACTIVE if state is ScheduleState.ENDED else state,
            state_reason="" if state is ScheduleState.ENDED else current.schedule.state_reason,
            accounted_until=now,
            next_due_at=next_due(plan.timing, now),
        )
        gap = _paused_until(current.schedule, now)
        after = await _checked(o, after)
        return (*gap, current.becomes(EventType.SCHEDULE_EDITED, after))

    return view(await change(o, reference, step))


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
        return (*_paused_until(current.schedule, now), resumed)

    return view(await change(o, reference, step))


async def delete(o: Orchestration, reference: str) -> Schedule:
    """The schedule is no more; its tasks, also those that run, and its history stay."""
    await account(o, (await find_known(o, reference)).schedule.id, clock.now())

    async def step(current: Known) -> tuple[Draft, ...]:
        after = replace(current.schedule, state=ScheduleState.DELETED, next_due_at=None)
        gap = _paused_until(current.schedule, clock.now())
        return (*gap, current.becomes(EventType.SCHEDULE_DELETED, after))

    return await change_last(o, reference, step)


async def change_last(o: Orchestration, reference: str, step: Any) -> Schedule:
    """As ``change``, for a change after which the schedule cannot be found by its name."""
    for _ in range(_TRIES):
        current = await find_known(o, reference)
        try:
            await o.record(*await step(current))
        except RecordChanged:
            continue
        last = await o.store.record(Subject.SCHEDULE, current.schedule.id)
        return known(last).schedule if last is not None else current.schedule
    raise RecordChanged(reference)


async def start(
    o: Orchestration, reference: str, by: str, parameters: Mapping[str, str] | None = None
) -> Task:
    """A task now, whatever the time, and whether or not it is paused; with these parameters, as a
    person types them, in place of its own of the same names."""
    given = tuple((parameters or {}).items())
    task = await trigger(o, reference, Cause.MANUAL, by=by, parameters=given)
    if task is None:
        raise RecordChanged(reference)
    return task


async def call(o: Orchestration, reference: str, token: str) -> Task | None:
    """A task, where the token is that of the schedule's webhook. Raises ``NotAuthenticated``."""
    current = await _if_known(o, reference)
    expected = current.schedule.token_sha256 if current and current.schedule.plan.webhook else None
    if not secrets.compare_digest(_digest(token), expected or ""):
        raise NotAuthenticated(hint="a schedule's webhook is opened by the schedule's own token")
    return await trigger(o, reference, Cause.WEBHOOK, by="webhook")


async def renew_token(o: Orchestration, reference: str) -> ScheduleView:
    """Another token for the webhook; the one before opens nothing any more."""
    token = secrets.token_urlsafe(24)

    async def step(current: Known) -> tuple[Draft, ...]:
        if not current.schedule.plan.webhook:
            hint = "it has no webhook; edit it to have one"
            raise InvalidRequest(current.schedule.name, hint=hint)
        after = replace(current.schedule, token_sha256=_digest(token))
        return (current.becomes(EventType.SCHEDULE_EDITED, after),)

    return view(await change(o, reference, step), token=token)


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
        earlier = await o.store.record_by_key(Subject.FIRING, f"{schedule.id}:{stamp(due_at)}")
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


async def schedules(o: Orchestration) -> ScheduleList:
    """All of them, by name."""
    found = [current.schedule for current in await every_schedule(o)]
    return ScheduleList(
        schedules=tuple(view(one) for one in sorted(found, key=lambda one: one.name))
    )


async def find_schedule(o: Orchestration, reference: str, count: int = _NEXT) -> ScheduleView:
    """The one of this name or id, with so many due times. Raises ``ScheduleNotFound``."""
    return view((await find_known(o, reference)).schedule, count)


def preview(timing: Timing, count: int = _NEXT) -> Preview:
    """What the timing means. Raises ``InvalidRequest`` for one that cannot be."""
    now = clock.now()
    check_timing(timing, now)
    plan = Plan(name="preview", submission=Submission(spec={}), timing=timing)
    return Preview(words=words(plan), next_due_at=next_times(timing, now, count))


def view(schedule: Schedule, count: int = _NEXT, token: str | None = None) -> ScheduleView:
    """The schedule for people."""
    is_active = schedule.state is ScheduleState.ACTIVE
    since = max(schedule.accounted_until, clock.now())
    times = next_times(schedule.plan.timing, since, count) if is_active else ()
    return ScheduleView(
        schedule=schedule, words=words(schedule.plan), next_due_at=times, token=token
    )


async def _checked(o: Orchestration, schedule: Schedule) -> Schedule:
    """The schedule with its notebook pinned where it asks for that. Raises where a task of it
    would be refused."""
    plan = schedule.plan
    check_hooks(o.settings, replace(plan.submission, on_success=plan.on_recovery, on_failure=()))
    check_hooks(o.settings, replace(plan.submission, on_success=plan.on_change, on_failure=()))
    check_hooks(o.settings, plan.submission)
    await _check_follows(o, plan)
    linked = replace(schedule, plan=replace(plan, source=Source.LINKED))
    due_at = schedule.next_due_at or clock.now()
    occasion = Occasion(due_at=due_at)
    prepared = await prepare(o, await submission_for(o, linked, occasion))
    if plan.source is Source.LINKED:
        return replace(schedule, pinned_sha256=None)
    content = prepared.files.get("input.ipynb")
    if content is None or plan.submission.spec.get("notebook") is None:
        raise InvalidRequest(plan.source.value, hint="only a notebook's file can be pinned")
    digest = sha256(content).hexdigest()
    await asyncio.to_thread(_keep, o, schedule.id, digest, content)
    return replace(schedule, pinned_sha256=digest)


def _keep(o: Orchestration, schedule_id: str, digest: str, content: bytes) -> None:
    path = pinned_file(o, schedule_id, digest)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, content)
    except OSError as failure:
        raise StoreUnavailable(str(path), hint=str(failure.strerror)) from failure


async def _check_follows(o: Orchestration, plan: Plan) -> None:
    """Raises ``ScheduleNotFound``, or ``InvalidRequest`` where they would start each other for
    ever."""
    seen: set[str] = set()
    waiting = list(plan.follows)
    while waiting:
        name = waiting.pop()
        if name == plan.name:
            hint = "they would start each other for ever"
            raise InvalidRequest(", ".join(plan.follows), hint=hint)
        if name not in seen:
            seen.add(name)
            waiting += (await find_known(o, name)).schedule.plan.follows


def _edited(plan: Plan, changes: Mapping[str, Any]) -> Plan:
    if changes.get("name", plan.name) != plan.name:
        raise InvalidRequest(changes["name"], hint="a schedule keeps its name; make another one")
    asked = dict(wire.encode(plan))
    for name, value in changes.items():
        old = asked.get(name)
        is_merged = name in ("submission", "timing") and isinstance(value, Mapping)
        asked[name] = _merged(old, value) if is_merged and isinstance(old, dict) else value
    return parse(Plan, asked, "changes")


def _merged(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(old)
    rules = ("cron", "every_seconds", "at")
    if any(new.get(rule) is not None for rule in rules):
        result.update({rule: None for rule in rules if rule in old})
    for name, value in new.items():
        before = result.get(name)
        if isinstance(before, dict) and isinstance(value, Mapping):
            result[name] = {**before, **value}
        else:
            result[name] = value
    return result


def _paused_until(schedule: Schedule, now: datetime) -> tuple[Draft, ...]:
    """What the pause has passed over so far, recorded."""
    if schedule.state is not ScheduleState.PAUSED:
        return ()
    firings = [
        passed(schedule, decision, schedule.state_reason)
        for decision in decide(schedule, now, 0)
        if isinstance(decision, Pass)
    ]
    return tuple(fired(firing, firing_key(firing)) for firing in firings)


def _moment(moment: datetime, name: str) -> datetime:
    if moment.tzinfo is None:
        hint = f"{name} needs a UTC offset, as 2030-01-31T09:00+01:00"
        raise InvalidRequest(moment.isoformat(), hint=hint)
    return moment.astimezone(UTC)


async def _if_known(o: Orchestration, reference: str) -> Known | None:
    record = await o.store.record_by_key(Subject.SCHEDULE, reference)
    record = record or await o.store.record(Subject.SCHEDULE, reference)
    return known(record) if record is not None and record.is_open else None


def _digest(token: str) -> str:
    return sha256(token.encode()).hexdigest()
