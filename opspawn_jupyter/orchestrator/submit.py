"""Submit a task: check all of it, then take it in. A refused submission leaves nothing."""

from __future__ import annotations

import asyncio

from opspawn_jupyter.errors import IdempotencyConflict, InvalidRequest, UnknownKind
from opspawn_jupyter.model.task import Submission, Task
from opspawn_jupyter.model.workflow import APPROVAL
from opspawn_jupyter.orchestrator.accept import Accepted, accept
from opspawn_jupyter.orchestrator.context import Orchestration
from opspawn_jupyter.orchestrator.hooks import check_hooks
from opspawn_jupyter.orchestrator.policy import check_policy
from opspawn_jupyter.ports import Prepared

_LONGEST_NAME = 200


async def submit(o: Orchestration, submission: Submission, submitted_by: str) -> tuple[Task, bool]:
    """The queued task, and whether it is new.

    A submission whose idempotency key was used before gives that earlier task. Raises
    ``InvalidRequest``, ``NotFound`` or ``IdempotencyConflict``; nothing is stored then.
    """
    prepared = await prepare(o, submission)
    accepted = Accepted(submission=submission, prepared=prepared, submitted_by=submitted_by)
    if submission.idempotency_key is None:
        return await accept(o, accepted), True
    async with o.key_lock:
        earlier = await o.store.task_by_key(submission.idempotency_key)
        if earlier is None:
            return await accept(o, accepted), True
    _require_same(earlier, accepted)
    return earlier, False


async def prepare(o: Orchestration, submission: Submission) -> Prepared:
    """The submission, found good; nothing is stored. Raises as ``submit`` does."""
    _check(o, submission)
    kind = o.kinds.get(submission.kind)
    if kind is None:
        raise UnknownKind(submission.kind, hint=f"known kinds: {', '.join(sorted(o.kinds))}")
    return await asyncio.to_thread(kind.prepare, submission.spec)


def _check(o: Orchestration, submission: Submission) -> None:
    name = submission.name
    if name is not None and not 0 < len(name.strip()) <= _LONGEST_NAME:
        raise InvalidRequest(name[:80], hint=f"a name has 1 to {_LONGEST_NAME} characters")
    if submission.kind == APPROVAL:
        raise InvalidRequest(submission.kind, hint="an approval is a step of a workflow")
    check_policy(submission.policy)
    check_hooks(o.settings, submission)


def _require_same(earlier: Task, accepted: Accepted) -> None:
    same = (earlier.kind, earlier.spec) == (accepted.submission.kind, accepted.prepared.spec)
    if not same:
        raise IdempotencyConflict(
            accepted.submission.idempotency_key, detail={"task_id": earlier.id}
        )
