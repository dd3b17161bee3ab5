"""Take in what a worker saw. Repeated, reordered and late reports change nothing."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from opspawn_jupyter import faults, timeline
from opspawn_jupyter.errors import IllegalTransition, RecordChanged
from opspawn_jupyter.model import wire
from opspawn_jupyter.model.event import Draft, Event
from opspawn_jupyter.model.question import Question
from opspawn_jupyter.model.states import (
    OUTCOME_EVENTS,
    TRANSITIONS,
    EventType,
    State,
    Subject,
)
from opspawn_jupyter.model.task import Task
from opspawn_jupyter.model.work import Report, ReportAnswer, ReportedEvent, ReportRequest
from opspawn_jupyter.orchestrator.context import Orchestration
from opspawn_jupyter.orchestrator.question import asking, withdraw_all
from opspawn_jupyter.orchestrator.retry import settled

logger = logging.getLogger(__name__)

_OUTCOMES = frozenset(OUTCOME_EVENTS.values())


async def report(o: Orchestration, worker: str, request: ReportRequest) -> ReportAnswer:
    """Everything durable is stored when this returns; ``unknown`` names what the store lacks."""
    by_task: dict[str, list[Report]] = {}
    for one in request.reports:
        by_task.setdefault(one.task_id, []).append(one)
    # Side by side: what becomes durable together costs one sync. All of them to their end, because
    # what is stored must be told, whatever becomes of the others.
    of_tasks = (_of_task(o, worker, reports) for reports in by_task.values())
    found = await asyncio.gather(*of_tasks, return_exceptions=True)
    for failure in found:
        if isinstance(failure, BaseException):
            raise failure
    unknown = [task_id for task_id, is_known in zip(by_task, found, strict=True) if not is_known]
    return ReportAnswer(unknown=tuple(unknown))


async def _of_task(o: Orchestration, worker: str, reports: Iterable[Report]) -> bool:
    """Take in what was reported on one task, in order; False where it is not the worker's."""
    is_known = True
    for one in reports:
        task = await o.store.task(one.task_id)
        if task is None or not _may_speak(worker, one, task):
            is_known = False
        else:
            await take_in(o, task, one)
    return is_known


def _may_speak(worker: str, report: Report, task: Task) -> bool:
    """The worker has the attempt, or is about to begin the next one."""
    if report.attempt == task.attempt:
        return worker == task.worker
    return report.attempt <= task.attempt + 1


async def take_in(o: Orchestration, task: Task, report: Report) -> None:
    """Store and tell what is new in the report on this task."""
    fresh = _fresh(task, report)
    if not fresh:
        return
    drafts = [settled(task, draft) for draft in _drafts(report, fresh)]
    drafts += await _questions(o, drafts)
    try:
        faults.reach("server.before_report")
        stored = await o.store.append(drafts)
        faults.reach("server.after_report")
    except (IllegalTransition, RecordChanged) as refusal:
        # The same report on two connections, or a task that was cancelled or ended meanwhile:
        # what is new after a second look is stored, the rest is late and has no say.
        current = await o.store.task(task.id)
        if current is None or current == task:
            logger.warning("late report dropped task_id=%s reason=%s", task.id, refusal)
            return
        await take_in(o, current, report)
        return
    timeline.reach("server.told")
    o.tell(_in_order(report, fresh, stored, await o.store.last_seq()))
    await _follow_up(o, task, stored)


async def conclude(o: Orchestration, task: Task, outcome: Draft) -> None:
    """Store and tell an outcome that the server finds itself."""
    stored = await o.record(settled(task, outcome))
    await _follow_up(o, task, stored)


async def _questions(o: Orchestration, drafts: Iterable[Draft]) -> list[Draft]:
    """What the worker of a task that is to wait wants asked, unless it was asked before."""
    asked = [
        replace(wire.decode(Question, draft.data["asked"]), task_id=draft.task_id)
        for draft in drafts
        if draft.type is EventType.WAITING and "asked" in draft.data
    ]
    return [
        asking(question)
        for question in asked
        if await o.store.record(Subject.QUESTION, question.id) is None
    ]


def _fresh(task: Task, report: Report) -> tuple[ReportedEvent, ...]:
    """The events of the report that this task has not taken in."""
    if task.state.is_final or report.attempt < task.attempt:
        return ()
    seen = task.report_number if report.attempt == task.attempt else 0
    return tuple(
        event for event in report.events if not event.type.is_durable or event.number > seen
    )


def _drafts(report: Report, events: Iterable[ReportedEvent]) -> list[Draft]:
    return [_draft(report, event) for event in events if event.type.is_durable]


def _draft(report: Report, event: ReportedEvent) -> Draft:
    return Draft(
        task_id=report.task_id,
        type=event.type,
        data=event.data,
        at=event.at,
        attempt=report.attempt,
        number=event.number,
    )


def _in_order(
    report: Report, events: Iterable[ReportedEvent], stored: Sequence[Event], last_seq: int
) -> list[Event]:
    """Stored events and passing ones as the worker saw them."""
    durable = iter(stored)
    seq = stored[0].seq - 1 if stored else last_seq
    told = []
    for event in events:
        if event.type.is_durable:
            told.append(next(durable))
            seq = told[-1].seq
        else:
            told.append(Event(**vars(_draft(report, event)), seq=seq))
    return [*told, *durable]


async def _follow_up(o: Orchestration, task: Task, events: Iterable[Event]) -> None:
    """Nothing here waits, so that the queue hears of things in the order of the store."""
    for event in events:
        if event.type is EventType.STARTED:
            await _has_started(o, event)
        elif event.type is EventType.RETRYING:
            await _goes_on(o, task, event)
        elif event.type is EventType.WAITING:
            await o.queue.remove(task.id)
            logger.info("task waits for an answer task_id=%s", task.id)
        elif event.type in _OUTCOMES:
            await o.queue.remove(task.id)
            o.breakers.note(task.kind, TRANSITIONS[event.type].target, event.at)
            await withdraw_all(o, task.id)
            logger.info("task ended task_id=%s event=%s", task.id, event.type)


async def _has_started(o: Orchestration, event: Event) -> None:
    await o.queue.started(event.task_id)
    if event.attempt > 1:
        o.queue.notify()  # a worker that still holds an earlier attempt must be told
    logger.info("task started task_id=%s attempt=%s", event.task_id, event.attempt)


async def _goes_on(o: Orchestration, task: Task, event: Event) -> None:
    await o.queue.remove(task.id)
    o.breakers.note(task.kind, State(event.data["outcome"]), event.at)
    o.alarm.set(task.id, datetime.fromisoformat(event.data["retry_at"]))
    logger.info(
        "task retrying task_id=%s outcome=%s retry_at=%s",
        task.id,
        event.data["outcome"],
        event.data["retry_at"],
    )
