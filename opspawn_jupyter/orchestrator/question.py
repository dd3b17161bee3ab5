"""Put questions to people, and take their answers: each is answered once, or withdrawn.

A question lies in the store before anybody sees it, so it outlives the server. Whoever waits for
the answer in this process is woken by ``Questions``; a task that waits without a worker goes back
into the queue.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import replace

from opspawn_jupyter.errors import (
    AmbiguousReference,
    IllegalTransition,
    InvalidRequest,
    QuestionNotFound,
    RecordChanged,
)
from opspawn_jupyter.model import clock, wire
from opspawn_jupyter.model.event import Draft
from opspawn_jupyter.model.question import Answer, Question, QuestionState
from opspawn_jupyter.model.record import Change, Record, RecordQuery, draft
from opspawn_jupyter.model.states import EventType, State, Subject
from opspawn_jupyter.model.task import Problem, Task
from opspawn_jupyter.orchestrator.accept import await_turn
from opspawn_jupyter.orchestrator.context import Orchestration

logger = logging.getLogger(__name__)

#: Questions that one list holds.
_MOST = 1_000
_LONGEST_ANSWER = 100_000
_SHORTEST_REFERENCE = 6


def asking(question: Question) -> Draft:
    """The event that asks it, for those who store it together with others."""
    change = Change(id=question.id, version=1, content=wire.encode(question))
    return draft(EventType.QUESTION_ASKED, change, question.task_id)


async def ask(o: Orchestration, question: Question) -> Question:
    """Put it to whoever looks at the questions. Asked again, it stands as it stands."""
    before = await o.store.record(Subject.QUESTION, question.id)
    if before is not None:
        return _question(before)
    await o.record(asking(question))
    logger.info("question asked question_id=%s task_id=%s", question.id, question.task_id)
    return question


async def questions(
    o: Orchestration, *, is_open: bool | None = True, task_id: str | None = None
) -> tuple[Question, ...]:
    """Questions, newest first: the open ones, those that are not, or all."""
    query = RecordQuery(subject=Subject.QUESTION, is_open=is_open, task_id=task_id, limit=_MOST)
    return tuple(_question(record) for record in await o.store.records(query))


async def find_question(o: Orchestration, reference: str) -> Question:
    """The one meant by an id or the end of one; the end must be that of an open question.

    Raises ``QuestionNotFound`` or ``AmbiguousReference``.
    """
    return _question(await _find(o, reference))


async def answer(o: Orchestration, reference: str, given: Answer, by: str) -> Question:
    """The question with its answer. Raises ``IllegalTransition`` where it is not open any more,
    ``InvalidRequest`` for an answer that is none of its choices."""
    record = await _find(o, reference)
    _check(_question(record), given)
    return await _answer(o, record, given, by)


async def settle(o: Orchestration, question_id: str, given: Answer, by: str) -> Question:
    """As ``answer``, for what is no choice of a person's: the thing itself has happened. Raises
    ``IllegalTransition`` where it is not open any more."""
    record = await _find(o, question_id)
    _require_open(_question(record))
    return await _answer(o, record, given, by)


async def _answer(o: Orchestration, record: Record, given: Answer, by: str) -> Question:
    question = _question(record)
    answered = replace(
        question,
        state=QuestionState.ANSWERED,
        answer=given.answer,
        comment=given.comment,
        answered_by=by,
        answered_at=clock.now(),
    )
    try:
        await o.record(
            _closing(EventType.QUESTION_ANSWERED, record, answered), *await _move(o, answered)
        )
    except (RecordChanged, IllegalTransition):  # somebody was quicker: look again
        return await answer(o, record.id, given, by)
    await _resume(o, answered)
    logger.info("question answered question_id=%s by=%s", question.id, by)
    return answered


async def withdraw(o: Orchestration, question_id: str) -> None:
    """Nobody waits for its answer any more. Does nothing where it is not open."""
    record = await o.store.record(Subject.QUESTION, question_id)
    if record is None or not record.is_open:
        return
    withdrawn = replace(_question(record), state=QuestionState.WITHDRAWN)
    try:
        await o.record(_closing(EventType.QUESTION_WITHDRAWN, record, withdrawn))
    except RecordChanged:
        logger.debug("question was answered as it was withdrawn question_id=%s", question_id)


async def withdraw_all(o: Orchestration, task_ids: Iterable[str]) -> None:
    """The tasks have ended: whatever was asked for them needs no answer any more."""
    if not await questions(o):
        return
    for task_id in task_ids:
        for question in await questions(o, task_id=task_id):
            await withdraw(o, question.id)


async def answered(o: Orchestration, question_id: str, timeout_seconds: float) -> Question:
    """The question once it is not open any more, or as it stands when the time is over."""
    with o.doorbell.listening(question_id) as rung:
        question = await find_question(o, question_id)
        if question.state is QuestionState.OPEN:
            await asyncio.wait([rung], timeout=timeout_seconds)
            question = await find_question(o, question_id)
    return question


async def _move(o: Orchestration, question: Question) -> tuple[Draft, ...]:
    """What the answer makes of the task that waits for it: it goes on, or is skipped where its
    start was refused."""
    task = await _waiting(o, question)
    if task is None:
        return ()
    if task.attempt or question.is_approved:
        return (Draft(task_id=task.id, type=EventType.QUEUED),)
    why = f": {question.comment}" if question.comment else ""
    message = f"{question.answered_by} answered {question.answer!r} to {question.text!r}{why}"
    error = {"error": wire.encode(Problem(name="Refused", message=message))}
    return (Draft(task_id=task.id, type=EventType.SKIPPED, data=error),)


async def _waiting(o: Orchestration, question: Question) -> Task | None:
    task = await o.store.task(question.task_id) if question.task_id else None
    is_waiting = task is not None and (task.state, task.question) == (State.WAITING, question.id)
    return task if is_waiting else None


async def _resume(o: Orchestration, question: Question) -> None:
    task = await o.store.task(question.task_id) if question.task_id else None
    if task is not None and task.state is State.QUEUED:
        await await_turn(o, task)


def _closing(type: EventType, record: Record, question: Question) -> Draft:
    change = Change(
        id=record.id,
        version=record.version + 1,
        content=wire.encode(question),
        is_open=False,
    )
    return draft(type, change, record.task_id)


def _require_open(question: Question) -> None:
    if question.state is not QuestionState.OPEN:
        who = f" by {question.answered_by}: {question.answer}" if question.answered_by else ""
        raise IllegalTransition("answer", hint=f"it was {question.state.value}{who}")


def _check(question: Question, given: Answer) -> None:
    _require_open(question)
    if question.choices and given.answer not in question.choices:
        raise InvalidRequest(given.answer, hint=f"answer one of {', '.join(question.choices)}")
    if len(given.answer) + len(given.comment) > _LONGEST_ANSWER:
        raise InvalidRequest(hint=f"an answer has at most {_LONGEST_ANSWER} characters")


async def _find(o: Orchestration, reference: str) -> Record:
    record = await o.store.record(Subject.QUESTION, reference)
    if record is not None:
        return record
    if len(reference) < _SHORTEST_REFERENCE:
        raise QuestionNotFound(reference, hint=f"give at least {_SHORTEST_REFERENCE} characters")
    query = RecordQuery(subject=Subject.QUESTION, is_open=True, limit=_MOST)
    found = [one for one in await o.store.records(query) if one.id.endswith(reference)]
    if len(found) > 1:
        raise AmbiguousReference(reference, detail={"matches": [one.id for one in found]})
    if not found:
        raise QuestionNotFound(reference)
    return found[0]


def _question(record: Record) -> Question:
    return wire.decode(Question, record.content)
