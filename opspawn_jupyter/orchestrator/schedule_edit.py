"""Change what a schedule runs, and when."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from opspawn_jupyter.errors import InvalidRequest, KeyTaken
from opspawn_jupyter.model import clock, wire
from opspawn_jupyter.model.event import Draft
from opspawn_jupyter.model.schedule import Plan, Schedule, ScheduleState
from opspawn_jupyter.model.schedule_view import Edit, ScheduleView
from opspawn_jupyter.model.states import EventType, Subject
from opspawn_jupyter.orchestrator.context import Orchestration
from opspawn_jupyter.orchestrator.firing import account, paused_until
from opspawn_jupyter.orchestrator.schedule_check import checked
from opspawn_jupyter.orchestrator.schedule_files import move_latest_link
from opspawn_jupyter.orchestrator.schedule_record import Known, arm, change, find_known
from opspawn_jupyter.orchestrator.schedule_view import view
from opspawn_jupyter.orchestrator.schedule_webhook import new_token
from opspawn_jupyter.parsing import parse
from opspawn_jupyter.scheduling.check import check_plan
from opspawn_jupyter.scheduling.due import next_due

_LONGEST_REASON = 1_000
_PARAMETERS = ("parameters", "parameters_text")


async def edit(o: Orchestration, reference: str, given: Edit, by: str) -> ScheduleView:
    """The schedule with another plan. What was due before is done by the old one first. Raises
    ``InvalidRequest`` for what is no plan, or a reason of unusual length."""
    if len(given.reason) > _LONGEST_REASON:
        raise InvalidRequest("reason", hint=f"it has at most {_LONGEST_REASON} characters")
    await account(o, (await find_known(o, reference)).schedule.id, clock.now())

    token, digest = new_token()

    async def step(current: Known) -> tuple[Draft, ...]:
        now = clock.now()
        plan = _edited(current.schedule.plan, given.changes)
        check_plan(plan, now)
        state, known = current.schedule.state, current.schedule.token_sha256
        after = replace(
            current.schedule,
            plan=plan,
            edited_by=by,
            edit_reason=given.reason.strip(),
            state=ScheduleState.ACTIVE if state is ScheduleState.ENDED else state,
            state_reason="" if state is ScheduleState.ENDED else current.schedule.state_reason,
            accounted_until=now,
            next_due_at=next_due(plan.timing, now),
            token_sha256=known or digest if plan.webhook else None,
        )
        gap = paused_until(current.schedule, now)
        after = await checked(o, after)
        followers = await _renamed(o, current.schedule, after.name)
        return (*gap, current.becomes(EventType.SCHEDULE_EDITED, after), *followers)

    before = (await find_known(o, reference)).schedule
    after = await change(o, before.id, step)
    if after.name != before.name:
        await _settle_name(o, before.name, after.name)
    return view(after, token=token if after.token_sha256 == digest else None)


async def _renamed(o: Orchestration, schedule: Schedule, new: str) -> tuple[Draft, ...]:
    """Those that follow it do so under its new name, from the same write on."""
    old = schedule.name
    if new == old:
        return ()
    taken = await o.store.record_by_key(Subject.SCHEDULE, new)
    if taken is not None and taken.id != schedule.id:
        raise KeyTaken(new, hint="another schedule has, or had, this name")
    drafts = []
    for schedule_id in o.triggers.after_schedule(old):
        follower = await find_known(o, schedule_id)
        plan = follower.schedule.plan
        follows = tuple(new if name == old else name for name in plan.follows)
        after = replace(follower.schedule, plan=replace(plan, follows=follows))
        drafts.append(follower.becomes(EventType.SCHEDULE_EDITED, after))
    return tuple(drafts)


async def _settle_name(o: Orchestration, old: str, new: str) -> None:
    for schedule_id in o.triggers.after_schedule(old):
        arm(o, (await find_known(o, schedule_id)).schedule)
    await asyncio.to_thread(move_latest_link, o.settings, old, new)


def _edited(plan: Plan, changes: Mapping[str, Any]) -> Plan:
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
        if name == "spec" and isinstance(before, dict) and isinstance(value, Mapping):
            result[name] = _merged_spec(before, value)
        elif isinstance(before, dict) and isinstance(value, Mapping):
            result[name] = {**before, **value}
        else:
            result[name] = value
    return result


def _merged_spec(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters are changed one by one, typed or as text; one that is null is left out."""
    given = {name: new[name] for name in _PARAMETERS if isinstance(new.get(name), Mapping)}
    changed = {parameter for values in given.values() for parameter in values}
    result = {**old, **new}
    for field in _PARAMETERS:
        before = old.get(field)
        kept = before.items() if isinstance(before, Mapping) else ()
        values = {name: value for name, value in kept if name not in changed}
        values |= {name: value for name, value in given.get(field, {}).items() if value is not None}
        if given and (values or field in result):
            result[field] = values
    return result
