"""Jobs and job definitions of jupyter-scheduler's contract, carried out by our own verbs.

A job is a notebook task, whoever submitted it; a job definition is a schedule of a notebook. What
the contract asks to be given back, and we have no word for, travels in a label.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from itertools import count
from pathlib import PurePosixPath
from typing import Any

from opspawn_jupyter.errors import (
    IdempotencyConflict,
    InvalidRequest,
    KeyTaken,
    ScheduleNotFound,
    TaskNotFound,
)
from opspawn_jupyter.model.job import (
    JOB_LABEL,
    CreateJob,
    CreateJobDefinition,
    CreateJobFromDefinition,
    DescribeJobDefinition,
    JobDefinitionList,
    JobQuery,
    JobRequest,
    JobStatus,
    UpdateJob,
    UpdateJobDefinition,
    schedule_name,
)
from opspawn_jupyter.model.schedule import Edit, Plan, Schedule, ScheduleState, Source, Timing
from opspawn_jupyter.model.states import State
from opspawn_jupyter.model.task import Submission, Task, TaskQuery
from opspawn_jupyter.orchestrator import schedule as schedules
from opspawn_jupyter.orchestrator.cancel import cancel
from opspawn_jupyter.orchestrator.context import Orchestration
from opspawn_jupyter.orchestrator.find import find
from opspawn_jupyter.orchestrator.prune import prune_task
from opspawn_jupyter.orchestrator.schedule_edit import edit
from opspawn_jupyter.orchestrator.schedule_record import every_schedule, find_known
from opspawn_jupyter.orchestrator.submit import submit

#: Stands for the kernel that the notebook itself names.
OWN_KERNEL = "notebook"
#: Jobs that lists look at: the newest.
_MOST_JOBS = 2_000
_PAGE = 500
_SORT = re.compile(r"(?:(asc|desc)\()?(\w+)\)?", re.IGNORECASE)

STATUSES: Mapping[State, JobStatus] = {
    State.PENDING: JobStatus.CREATED,
    State.QUEUED: JobStatus.QUEUED,
    State.RUNNING: JobStatus.IN_PROGRESS,
    State.RETRYING: JobStatus.IN_PROGRESS,
    State.WAITING: JobStatus.IN_PROGRESS,
    State.SUCCESS: JobStatus.COMPLETED,
    State.FAILED: JobStatus.FAILED,
    State.TIMED_OUT: JobStatus.FAILED,
    State.CRASHED: JobStatus.FAILED,
    State.CANCELLED: JobStatus.STOPPED,
    State.SKIPPED: JobStatus.STOPPED,
}


async def create_job(o: Orchestration, asked: CreateJob, by: str) -> Task:
    """The job's task. Raises ``IdempotencyConflict`` where its token was used before."""
    submission = replace(_submission(asked), idempotency_key=asked.idempotency_token)
    task, is_new = await submit(o, submission, by)
    if not is_new:
        raise IdempotencyConflict(asked.idempotency_token, detail={"task_id": task.id})
    return task


async def jobs(o: Orchestration) -> list[Task]:
    """The newest notebook tasks whose files are there."""
    found: list[Task] = []
    query = TaskQuery(kind="notebook", pruned=False, limit=_PAGE)
    while len(found) < _MOST_JOBS:
        page = await o.store.tasks(query)
        found += page.tasks
        if page.next_cursor is None:
            break
        query = replace(query, cursor=page.next_cursor)
    return found


async def find_job(o: Orchestration, job_id: str) -> Task:
    """The job of this id. Raises ``TaskNotFound``."""
    task = await find(o, job_id)
    if task.kind != "notebook" or task.pruned_at is not None:
        raise TaskNotFound(job_id)
    return task


async def update_job(o: Orchestration, job_id: str, asked: UpdateJob, by: str) -> None:
    """Stop it, where that is asked for and it has not ended."""
    task = await find_job(o, job_id)
    if asked.status is not None and asked.status is not JobStatus.STOPPED:
        raise InvalidRequest(asked.status.value, hint="a job's status can only be set to STOPPED")
    if asked.status is not None and not task.state.is_final:
        await cancel(o, task.id, by)


async def delete_job(o: Orchestration, job_id: str, by: str) -> None:
    """Stop it if need be, and remove its files. Its history stays."""
    task = await find_job(o, job_id)
    if not task.state.is_final:
        task = await cancel(o, task.id, by)
    if task.state.is_final:
        await prune_task(o, task, reason="the job was deleted", by=by)


async def create_definition(o: Orchestration, asked: CreateJobDefinition, by: str) -> str:
    """The id of the schedule that was made."""
    for number in count(1):
        name = schedule_name(asked.name) + (f" {number}" if number > 1 else "")
        plan = Plan(
            name=name,
            submission=_submission(asked),
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
        await edit(o, definition_id, Edit(changes=changes))
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
        tags=_tuple(told.get("tags")),
        create_time=changed,
        update_time=changed,
        schedule=plan.timing.cron,
        timezone=plan.timing.timezone,
        active=schedule.state is ScheduleState.ACTIVE,
        package_input_folder=told.get("package_input_folder"),
    )


def ordered(items: Iterable[Any], query: JobQuery) -> list[Any]:
    """In the query's order. Raises ``InvalidRequest`` for a field that there is none of."""
    result = list(items)
    for text in reversed(query.sort_by):
        match = _SORT.fullmatch(text)
        if match is None or (result and not hasattr(result[0], match[2])):
            raise InvalidRequest(text, hint="sort_by is asc(FIELD) or desc(FIELD)")
        is_descending = (match[1] or "asc").lower() == "desc"
        result.sort(key=lambda one: _rank(getattr(one, match[2])), reverse=is_descending)
    return result


def paged(items: list[Any], query: JobQuery) -> tuple[list[Any], str | None]:
    """The page that the token begins, and the token of the next."""
    token = query.next_token or "0"
    if not token.isdigit():
        raise InvalidRequest(token, hint="next_token comes from the page before")
    start, end = int(token), int(token) + query.max_items
    return items[start:end], str(end) if end < len(items) else None


def told_of(labels: Mapping[str, str]) -> Mapping[str, Any]:
    """What a request told that only the contract has words for."""
    try:
        told = json.loads(labels.get(JOB_LABEL, "{}"))
    except ValueError:  # a label of the same name that somebody else gave
        return {}
    return told if isinstance(told, dict) else {}


def texts(values: Mapping[str, Any]) -> Mapping[str, str]:
    """Parameters as text."""
    return {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in values.items()
    }


def milliseconds(moment: datetime) -> int:
    """Since 1970, in UTC."""
    return int(moment.timestamp() * 1000)


def _submission(asked: JobRequest) -> Submission:
    kernel = asked.runtime_environment_name
    told = {
        "name": asked.name,
        "tags": list(asked.tags) if asked.tags is not None else None,
        "output_formats": list(asked.output_formats or ()),
        "package_input_folder": asked.package_input_folder,
    }
    return Submission(
        spec={
            "notebook": asked.input_uri,
            "parameters_text": dict(asked.parameters or {}),
            "kernel": None if kernel in ("", OWN_KERNEL) else kernel,
        },
        name=schedule_name(asked.name),
        labels={JOB_LABEL: json.dumps({key: value for key, value in told.items() if value})},
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


def _rank(value: Any) -> tuple[bool, Any]:
    """Sorts what has no value before what has one."""
    return value is not None, value if value is not None else ""


def _tuple(value: Any) -> tuple[str, ...] | None:
    return tuple(value) if value else None
