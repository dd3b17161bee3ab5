"""Job definitions of jupyter-scheduler's contract: each is a schedule of a notebook."""

from __future__ import annotations

import json
from itertools import count
from pathlib import PurePosixPath
from typing import Any

from opspawn_jupyter.errors import KeyTaken, ScheduleNotFound
from opspawn_jupyter.model.job import (
    JOB_LABEL,
    CreateJobDefinition,
    CreateJobFromDefinition,
    DescribeJobDefinition,
    JobDefinitionList,
    JobQuery,
    UpdateJobDefinition,
    schedule_name,
)
from opspawn_jupyter.model.schedule import Plan, Schedule, ScheduleState, Source, Timing
from opspawn_jupyter.model.schedule_view import Edit
from opspawn_jupyter.model.task import Task
from opspawn_jupyter.orchestrator import schedule as schedules
from opspawn_jupyter.orchestrator.context import Orchestration
from opspawn_jupyter.orchestrator.job import (
    OWN_KERNEL,
    milliseconds,
    ordered,
    paged,
    submission_for,
    texts,
    told_of,
)
from opspawn_jupyter.orchestrator.schedule_edit import edit
from opspawn_jupyter.orchestrator.schedule_record import every_schedule, find_known


async def create_definition(o: Orchestration, asked: CreateJobDefinition, by: str) -> str:
    """The id of the schedule that was made."""
    for number in count(1):
        name = schedule_name(asked.name) + (f" {number}" if number > 1 else "")
        plan = Plan(
            name=name,
            submission=submission_for(asked),
            timing=Timing(cron=asked.schedule, timezone=asked.timezone or "UTC"),
            source=Source.PINNED,
            # One without a time waits for somebody to start it.
            webhook=asked.schedule is None,
            html="html" in (asked.output_formats or ()),
        )
        try:
            return (await schedules.create(o, plan, by)).schedule.id
        except KeyTaken:  # the contract's names need not be unique
            continue
    raise AssertionError  # there is always another number


async def find_definition(o: Orchestration, definition_id: str) -> Schedule:
    """The definition of this id. Raises ``ScheduleNotFound``."""
    schedule = (await find_known(o, definition_id)).schedule
    if schedule.plan.submission.kind != "notebook":
        raise ScheduleNotFound(definition_id)
    return schedule


async def update_definition(
    o: Orchestration, definition_id: str, asked: UpdateJobDefinition, by: str
) -> None:
    """Change what is given; ``active`` pauses and resumes."""
    schedule = await find_definition(o, definition_id)
    changes = _changes(schedule, asked)
    if changes:
        await edit(o, definition_id, Edit(changes=changes), by)
    if asked.active is False:
        await schedules.pause(o, definition_id, by)
    elif asked.active:
        await schedules.resume(o, definition_id)


async def run_definition(
    o: Orchestration, definition_id: str, asked: CreateJobFromDefinition, by: str
) -> Task:
    """One run of it now."""
    await find_definition(o, definition_id)
    return await schedules.start(o, definition_id, by, asked.parameters)


async def delete_definition(o: Orchestration, definition_id: str) -> None:
    """End it. Its jobs stay, until they are deleted themselves."""
    await find_definition(o, definition_id)
    await schedules.delete(o, definition_id)


async def definitions(o: Orchestration, query: JobQuery) -> JobDefinitionList:
    """Those that fit the query."""
    known = [current.schedule for current in await every_schedule(o)]
    described = [
        describe_definition(one) for one in known if one.plan.submission.kind == "notebook"
    ]
    fitting = [
        one
        for one in described
        if one.name.startswith(query.name or "")
        and set(query.tags) <= set(one.tags or ())
        and one.create_time >= (query.create_time or 0)
    ]
    page, token = paged(ordered(fitting, query), query)
    return JobDefinitionList(
        job_definitions=tuple(page), total_count=len(fitting), next_token=token
    )


def describe_definition(schedule: Schedule) -> DescribeJobDefinition:
    """The schedule in the contract's words."""
    plan = schedule.plan
    spec = plan.submission.spec
    told = told_of(plan.submission.labels)
    changed = milliseconds(schedule.created_at)
    return DescribeJobDefinition(
        job_definition_id=schedule.id,
        name=told.get("name") or plan.name,
        input_filename=PurePosixPath(str(spec.get("notebook") or plan.name)).name,
        runtime_environment_name=spec.get("kernel") or OWN_KERNEL,
        output_formats=tuple(told.get("output_formats") or ("ipynb",)),
        parameters=texts({**spec.get("parameters", {}), **spec.get("parameters_text", {})}),
        tags=tuple(told["tags"]) if told.get("tags") else None,
        create_time=changed,
        update_time=changed,
        schedule=plan.timing.cron,
        timezone=plan.timing.timezone,
        active=schedule.state is ScheduleState.ACTIVE,
        package_input_folder=told.get("package_input_folder"),
    )


def _changes(schedule: Schedule, asked: UpdateJobDefinition) -> dict[str, Any]:
    before = told_of(schedule.plan.submission.labels)
    told = {**before, **_told(asked)}
    submission: dict[str, Any] = {}
    changes: dict[str, Any] = {}
    if spec := _spec(asked):
        submission["spec"] = spec
    if told != before:
        submission["labels"] = {JOB_LABEL: json.dumps(told)}
        changes["html"] = "html" in told.get("output_formats", ())
    if submission:
        changes["submission"] = submission
    timing = {
        name: value
        for name, value in (("cron", asked.schedule), ("timezone", asked.timezone))
        if value is not None and value != getattr(schedule.plan.timing, name)
    }
    return {**changes, "timing": timing} if timing else changes


def _told(asked: UpdateJobDefinition) -> dict[str, Any]:
    given = {"name": asked.name, "tags": asked.tags, "output_formats": asked.output_formats}
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in given.items()
        if value is not None
    }


def _spec(asked: UpdateJobDefinition) -> dict[str, Any]:
    spec: dict[str, Any] = {}
    if asked.parameters is not None:
        spec["parameters_text"] = dict(asked.parameters)
    if asked.input_uri is not None:
        spec["notebook"] = asked.input_uri
    if asked.runtime_environment_name is not None:
        own = asked.runtime_environment_name == OWN_KERNEL
        spec["kernel"] = None if own else asked.runtime_environment_name
    return spec
