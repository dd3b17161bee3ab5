"""Accept a task: check all of it, pin its source, store it, queue it. All or nothing."""

from __future__ import annotations

import asyncio
import logging
import math
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from opspawn_jupyter.errors import IdempotencyConflict, InvalidRequest, UnknownKind
from opspawn_jupyter.files import write_atomic
from opspawn_jupyter.model import clock, wire
from opspawn_jupyter.model.event import Draft
from opspawn_jupyter.model.ids import new_id
from opspawn_jupyter.model.run_directory import RunDirectory, directory_name
from opspawn_jupyter.model.states import EventType
from opspawn_jupyter.model.task import Policy, Submission, Task
from opspawn_jupyter.orchestrator.context import Orchestration
from opspawn_jupyter.orchestrator.find import find
from opspawn_jupyter.ports import Prepared

logger = logging.getLogger(__name__)

_LONGEST_NAME = 200


@dataclass(frozen=True, kw_only=True)
class _Accepted:
    """A submission on its way into the store."""

    submission: Submission
    prepared: Prepared
    submitted_by: str

    @property
    def name(self) -> str:
        return self.submission.name or self.prepared.name


async def submit(o: Orchestration, submission: Submission, submitted_by: str) -> tuple[Task, bool]:
    """The queued task, and whether it is new.

    A submission whose idempotency key was used before gives that earlier task. Raises
    ``InvalidRequest``, ``NotFound`` or ``IdempotencyConflict``; nothing is stored then.
    """
    prepared = await _prepare(o, submission)
    accepted = _Accepted(submission=submission, prepared=prepared, submitted_by=submitted_by)
    if submission.idempotency_key is None:
        return await _store(o, accepted), True
    async with o.key_lock:
        earlier = await o.store.task_by_key(submission.idempotency_key)
        if earlier is None:
            return await _store(o, accepted), True
    _require_same(earlier, accepted)
    return earlier, False


async def _prepare(o: Orchestration, submission: Submission) -> Prepared:
    _check(submission)
    kind = o.kinds.get(submission.kind)
    if kind is None:
        raise UnknownKind(submission.kind, hint=f"known kinds: {', '.join(sorted(o.kinds))}")
    return await asyncio.to_thread(kind.prepare, submission.spec)


def _check(submission: Submission) -> None:
    name = submission.name
    if name is not None and not 0 < len(name.strip()) <= _LONGEST_NAME:
        raise InvalidRequest(name[:80], hint=f"a name has 1 to {_LONGEST_NAME} characters")
    _check_policy(submission.policy)


def _check_policy(policy: Policy) -> None:
    for field in ("timeout_seconds", "cell_timeout_seconds"):
        seconds = getattr(policy, field)
        if seconds is not None and not (seconds > 0 and math.isfinite(seconds)):
            raise InvalidRequest(seconds, hint=f"{field} must be a number of seconds above 0")


async def _store(o: Orchestration, accepted: _Accepted) -> Task:
    task_id, created_at = new_id(), clock.now()
    directory = o.settings.runs_directory / directory_name(accepted.name, task_id, created_at)
    await asyncio.to_thread(_pin, directory, accepted.prepared.files)
    try:
        await o.record(
            Draft(
                task_id=task_id,
                type=EventType.SUBMITTED,
                at=created_at,
                data=_submitted_data(o, accepted, directory),
            ),
            Draft(task_id=task_id, type=EventType.QUEUED, at=created_at),
        )
    except BaseException:
        await asyncio.to_thread(shutil.rmtree, directory, ignore_errors=True)
        raise
    task = await find(o, task_id)
    await o.queue.put(task)
    logger.info("task submitted task_id=%s kind=%s name=%s", task.id, task.kind, task.name)
    return task


def _submitted_data(o: Orchestration, accepted: _Accepted, directory: Path) -> Mapping[str, object]:
    submission = accepted.submission
    return {
        "kind": submission.kind,
        "name": accepted.name,
        "spec": dict(accepted.prepared.spec),
        "policy": wire.encode(submission.policy),
        "labels": dict(submission.labels),
        "run_directory": directory.relative_to(o.settings.root_directory).as_posix(),
        "submitted_by": accepted.submitted_by,
        "idempotency_key": submission.idempotency_key,
    }


def _pin(directory: Path, files: Mapping[str, bytes]) -> None:
    directory.mkdir(parents=True)
    RunDirectory(directory).artifacts.mkdir()
    for name, content in files.items():
        write_atomic(directory / name, content)


def _require_same(earlier: Task, accepted: _Accepted) -> None:
    same = (earlier.kind, earlier.spec) == (accepted.submission.kind, accepted.prepared.spec)
    if not same:
        raise IdempotencyConflict(
            accepted.submission.idempotency_key, detail={"task_id": earlier.id}
        )
