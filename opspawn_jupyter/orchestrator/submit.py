"""Submit a task: check all of it, then take it in. A refused submission leaves nothing."""

from __future__ import annotations

import time
from functools import partial
from typing import TypeGuard

from opspawn_jupyter.errand import in_thread
from opspawn_jupyter.errors import IdempotencyConflict, InvalidRequest, UnknownKind
from opspawn_jupyter.model.task import Submission, Task
from opspawn_jupyter.model.workflow import APPROVAL
from opspawn_jupyter.orchestrator.accept import Accepted, Pinned, accept, pin, take_in
from opspawn_jupyter.orchestrator.context import Orchestration
from opspawn_jupyter.orchestrator.hooks import check_hooks
from opspawn_jupyter.orchestrator.policy import check_policy
from opspawn_jupyter.ports import Kind, KnowsSmall, Prepared

_LONGEST_NAME = 200


async def submit(o: Orchestration, submission: Submission, submitted_by: str) -> tuple[Task, bool]:
    """The queued task, and whether it is new.

    A submission whose idempotency key was used before gives that earlier task. Raises
    ``InvalidRequest``, ``NotFound`` or ``IdempotencyConflict``; nothing is stored then.
    """
    kind = _kind(o, submission)
    if submission.idempotency_key is None:
        return await take_in(o, await _pinned(o, kind, submission, submitted_by)), True
    accepted = await in_thread(_accepted, kind, submission, submitted_by)
    async with o.key_lock:
        earlier = await o.store.task_by_key(submission.idempotency_key)
        if earlier is None:
            return await accept(o, accepted), True
    _require_same(earlier, accepted)
    return earlier, False


async def prepare(o: Orchestration, submission: Submission) -> Prepared:
    """The submission, found good; nothing is stored. Raises as ``submit`` does."""
    return await in_thread(_kind(o, submission).prepare, submission.spec)


def _kind(o: Orchestration, submission: Submission) -> Kind:
    """What is to check its spec; all else of it is checked here."""
    _check(o, submission)
    kind = o.kinds.get(submission.kind)
    if kind is None:
        raise UnknownKind(submission.kind, hint=f"known kinds: {', '.join(sorted(o.kinds))}")
    return kind


def _accepted(kind: Kind, submission: Submission, submitted_by: str) -> Accepted:
    prepared = kind.prepare(submission.spec)
    return Accepted(submission=submission, prepared=prepared, submitted_by=submitted_by)


async def _pinned(
    o: Orchestration, kind: Kind, submission: Submission, submitted_by: str
) -> Pinned:
    """Checked and pinned in one go: to hand it to a thread takes as long as either. What is small
    is not even handed over, as long as that is quickly done."""
    work = partial(_timed, o, kind, submission, submitted_by)
    is_here = o.pinning.is_quick and _is_small(kind, submission)
    pinned, seconds = work(is_small=True) if is_here else await in_thread(work)
    if seconds is not None:
        o.pinning.note(seconds)
    return pinned


def _timed(
    o: Orchestration,
    kind: Kind,
    submission: Submission,
    submitted_by: str,
    *,
    is_small: bool | None = None,
) -> tuple[Pinned, float | None]:
    """With how long it took, where it is small."""
    began = time.perf_counter()
    pinned = pin(o, _accepted(kind, submission, submitted_by))
    seconds = time.perf_counter() - began
    return pinned, seconds if is_small or _is_small(kind, submission) else None


def _is_small(kind: Kind, submission: Submission) -> bool:
    return _knows_small(kind) and kind.is_small(submission.spec)


def _knows_small(kind: Kind) -> TypeGuard[KnowsSmall]:
    """Of a class that is remembered; to ask for an instance takes as long as to read a notebook."""
    return issubclass(type(kind), KnowsSmall)


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
