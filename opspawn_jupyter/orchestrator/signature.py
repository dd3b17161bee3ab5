"""Signatures under audits: who may give which, and their place in the history.

Whoever asked for an audit, or signed as its author, is its author; a review, an approval and a
rejection come from somebody else. Who somebody is, the Jupyter server says.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from opspawn_jupyter.errors import IllegalTransition, InvalidRequest, NotAuthorized
from opspawn_jupyter.model import clock, wire
from opspawn_jupyter.model.ids import new_id
from opspawn_jupyter.model.record import Change, RecordQuery, draft
from opspawn_jupyter.model.signature import Meaning, Signature, SignRequest
from opspawn_jupyter.model.states import EventType, State, Subject
from opspawn_jupyter.model.task import Task
from opspawn_jupyter.orchestrator.context import Orchestration

logger = logging.getLogger(__name__)

_MOST = 1_000
_LONGEST_TEXT = 10_000


@dataclass(frozen=True, kw_only=True)
class Report:
    """What is signed."""

    sha256: str
    source_sha256: str
    headline: str
    #: Makes the envelope around a statement about a signature under it.
    seal: Callable[[Signature], Mapping[str, Any]]


def require_signable(task: Task) -> None:
    """Raises ``InvalidRequest`` or ``IllegalTransition`` for what has no report to be signed."""
    if task.kind != "audit":
        raise InvalidRequest(task.kind, hint="only audits are signed; audit the task first")
    if task.state is not State.SUCCESS:
        raise IllegalTransition("sign", hint=f"the audit has no report: it is {task.state.value}")


async def signatures(o: Orchestration, task: Task) -> tuple[Signature, ...]:
    """Those under this audit, the oldest first."""
    query = RecordQuery(subject=Subject.SIGNATURE, task_id=task.id, limit=_MOST)
    found = [wire.decode(Signature, one.content) for one in await o.store.records(query)]
    return tuple(sorted(found, key=lambda one: one.id))


async def sign(
    o: Orchestration, task: Task, request: SignRequest, by: str, report: Report
) -> Signature:
    """The signature, durable. Raises ``InvalidRequest`` without a reason, ``NotAuthorized`` where
    an author would review what is theirs, ``IllegalTransition`` where they have said so before."""
    require_signable(task)
    _check(request)
    _require_other(task, await signatures(o, task), request.meaning, by)
    plain = Signature(
        id=new_id(),
        task_id=task.id,
        meaning=request.meaning,
        reason=request.reason.strip(),
        name=request.name.strip() or by,
        signed_by=by,
        signed_at=clock.now(),
        report_sha256=report.sha256,
        source_sha256=report.source_sha256,
        headline=report.headline,
    )
    given = replace(plain, envelope=report.seal(plain))
    # The key keeps one person from saying the same twice at the same time.
    key = f"{task.id}:{given.meaning.value}:{by}"
    change = Change(id=given.id, version=1, content=wire.encode(given), is_open=False, key=key)
    await o.record(draft(EventType.SIGNATURE_GIVEN, change, task.id))
    logger.info("audit signed task_id=%s meaning=%s by=%s", task.id, given.meaning.value, by)
    return given


def _check(request: SignRequest) -> None:
    if not request.reason.strip():
        raise InvalidRequest("reason", hint="say why you sign; it stands beside your name")
    if len(request.reason) + len(request.name) > _LONGEST_TEXT:
        raise InvalidRequest(hint=f"name and reason have at most {_LONGEST_TEXT} characters")


def _require_other(task: Task, given: tuple[Signature, ...], meaning: Meaning, by: str) -> None:
    if any(one.meaning is meaning and one.signed_by == by for one in given):
        raise IllegalTransition(meaning.value, hint=f"{by} has signed this audit so already")
    authors = {task.submitted_by, *(one.signed_by for one in given if _is_author(one))}
    if meaning is not Meaning.AUTHOR and by in authors:
        hint = f"{by} asked for this audit or signed as its author; its {meaning.value} is given "
        raise NotAuthorized(hint=f"{hint}by somebody else")
    judges = {one.signed_by for one in given if not _is_author(one)}
    if meaning is Meaning.AUTHOR and by in judges:
        raise NotAuthorized(hint=f"{by} has judged this audit, so its author is somebody else")


def _is_author(signature: Signature) -> bool:
    return signature.meaning is Meaning.AUTHOR
