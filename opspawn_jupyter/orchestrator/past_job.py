"""Take another scheduler's past runs into the history, with their notebooks, as tasks that ended
then."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime

from opspawn_jupyter.errors import InvalidRequest
from opspawn_jupyter.files import write_atomic
from opspawn_jupyter.model import wire
from opspawn_jupyter.model.event import Draft
from opspawn_jupyter.model.past_job import PastJob, TakenIn
from opspawn_jupyter.model.run_directory import RunDirectory
from opspawn_jupyter.model.schedule import SCHEDULE_ID_LABEL, SCHEDULE_LABEL
from opspawn_jupyter.model.states import EventType, State
from opspawn_jupyter.model.task import Problem, Submission
from opspawn_jupyter.orchestrator.accept import Accepted, accept
from opspawn_jupyter.orchestrator.context import Orchestration
from opspawn_jupyter.orchestrator.schedule_record import find_known
from opspawn_jupyter.ports import Prepared

_OUTCOMES = {
    State.SUCCESS: EventType.SUCCEEDED,
    State.FAILED: EventType.FAILED,
    State.CANCELLED: EventType.CANCELLED,
}


async def take_in(o: Orchestration, past: PastJob, by: str) -> TakenIn:
    """Its task, as it is in the history from now on. Raises ``InvalidRequest``, or
    ``ScheduleNotFound``; nothing is stored then."""
    _check(past)
    labels = dict(past.labels)
    if past.schedule is not None:
        schedule = (await find_known(o, past.schedule)).schedule
        labels |= {SCHEDULE_LABEL: schedule.name, SCHEDULE_ID_LABEL: schedule.id}
    async with o.key_lock:
        earlier = await o.store.task_by_key(past.key)
        if earlier is not None:
            return TakenIn(task_id=earlier.id, is_new=False)
        task = await accept(o, _accepted(past, labels, by))
    if past.output is not None:
        directory = RunDirectory(o.settings.root_directory / task.run_directory)
        await asyncio.to_thread(write_atomic, directory.output, _notebook(past.output))
    return TakenIn(task_id=task.id, is_new=True)


def _check(past: PastJob) -> None:
    moments = (past.created_at, past.started_at, past.finished_at)
    if past.state not in _OUTCOMES:
        hint = f"a past job was one of {', '.join(_OUTCOMES)}"
        raise InvalidRequest(past.state.value, hint=hint)
    if any(moment.tzinfo is None for moment in moments) or list(moments) != sorted(moments):
        raise InvalidRequest(past.key, hint="its times have an offset, and are in order")
    for notebook in (past.notebook, past.output or past.notebook):
        if not isinstance(notebook.get("cells"), list):
            raise InvalidRequest(past.key, hint="its notebook has no cells")


def _accepted(past: PastJob, labels: dict[str, str], by: str) -> Accepted:
    spec = {"kernel": past.kernel or "", "parameters": dict(past.parameters)}
    return Accepted(
        submission=Submission(name=past.name, spec={}, labels=labels, idempotency_key=past.key),
        prepared=Prepared(
            name=past.name, spec=spec, files={"input.ipynb": _notebook(past.notebook)}
        ),
        submitted_by=by,
        created_at=_utc(past.created_at),
        opening=lambda task_id: _story(past, task_id),
    )


def _story(past: PastJob, task_id: str) -> tuple[Draft, ...]:
    """From the queue to its end, at the times at which it happened."""
    problem = Problem(name=past.state.value, message=past.message or "it did not say why")
    error = {} if past.state is State.SUCCESS else {"error": wire.encode(problem)}
    started, finished = _utc(past.started_at), _utc(past.finished_at)
    return (
        Draft(task_id=task_id, type=EventType.QUEUED, at=_utc(past.created_at)),
        Draft(task_id=task_id, type=EventType.STARTED, at=started, attempt=1),
        Draft(task_id=task_id, type=_OUTCOMES[past.state], at=finished, attempt=1, data=error),
    )


def _notebook(content: object) -> bytes:
    return json.dumps(content, indent=1, ensure_ascii=False).encode()


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)
