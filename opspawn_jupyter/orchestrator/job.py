"""Jobs of jupyter-scheduler's contract, carried out by our own verbs.

A job is a notebook task, whoever submitted it. What the contract asks to be given back, and we have
no word for, travels in a label.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from opspawn_jupyter.errors import (
    IdempotencyConflict,
    InvalidRequest,
    TaskNotFound,
)
from opspawn_jupyter.model.job import (
    JOB_LABEL,
    CreateJob,
    JobQuery,
    JobRequest,
    JobStatus,
    UpdateJob,
    schedule_name,
)
from opspawn_jupyter.model.states import State
from opspawn_jupyter.model.task import Submission, Task, TaskQuery
from opspawn_jupyter.orchestrator.cancel import cancel
from opspawn_jupyter.orchestrator.context import Orchestration
from opspawn_jupyter.orchestrator.find import find
from opspawn_jupyter.orchestrator.prune import prune_task
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
    submission = replace(submission_for(asked), idempotency_key=asked.idempotency_token)
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


def submission_for(asked: JobRequest) -> Submission:
    """What the request comes to, here."""
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


def _rank(value: Any) -> tuple[bool, Any]:
    """Sorts what has no value before what has one."""
    return value is not None, value if value is not None else ""
