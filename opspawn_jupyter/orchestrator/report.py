"""Take in what a worker saw. Repeated, reordered and late reports change nothing."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice

from opspawn_jupyter import faults, timeline
from opspawn_jupyter.errors import IllegalTransition, RecordChanged
from opspawn_jupyter.model import wire
from opspawn_jupyter.model.event import Draft, Event
from opspawn_jupyter.model.notebook import is_pooled
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

#: So many reports, and it is quicker to store them together.
_WORTH_WHILE = 3
_OUTCOMES = frozenset(OUTCOME_EVENTS.values())


async def report(o: Orchestration, worker: str, request: ReportRequest) -> ReportAnswer:
    """Everything durable is stored when this returns; ``unknown`` names what the store lacks."""
    if len(request.reports) == 1:  # of a run that has ended, mostly, for which somebody waits
        is_known = await _of_task(o, worker, request.reports)
        return ReportAnswer(unknown=() if is_known else (request.reports[0].task_id,))
    by_task: dict[str, list[Report]] = {}
    for one in request.reports:
        by_task.setdefault(one.task_id, []).append(one)
    rest = await _together(o, worker, by_task)
    # Side by side: what becomes durable together costs one sync. All of them to their end, because
    # what is stored must be told, whatever becomes of the others.
    of_tasks = (_of_task(o, worker, by_task[task_id]) for task_id in rest)
    found = await asyncio.gather(*of_tasks, return_exceptions=True)
    for failure in found:
        if isinstance(failure, BaseException):
            raise failure
    unknown = [task_id for task_id, is_known in zip(rest, found, strict=True) if not is_known]
    return ReportAnswer(unknown=tuple(unknown))


@dataclass(frozen=True)
class _News:
    """What one report brings that is new."""

    task: Task
    report: Report
    fresh: tuple[ReportedEvent, ...]
    drafts: list[Draft]


async def _together(
    o: Orchestration, worker: str, by_task: Mapping[str, Sequence[Report]]
) -> list[str]:
    """Store the plain ones among the reports in one go: small steps end by the hundred. Ids of
    the tasks that are still to be looked at, each for itself."""
    found = [await _plain_news(o, worker, reports) for reports in by_task.values()]
    news = [one for one in found if one is not None and one.drafts]
    if len(news) < _WORTH_WHILE:
        return [*by_task]
    try:
        stored = await _stored(o, [draft for one in news for draft in one.drafts])
    except (IllegalTransition, RecordChanged):
        return [*by_task]  # one of them is late, and has no say about the others
    events, last_seq = iter(stored), stored[-1].seq
    its = [(one, list(islice(events, len(one.drafts)))) for one in news]
    o.tell([told for one, some in its for told in _in_order(one.report, one.fresh, some, last_seq)])
    for one, some in its:
        await _follow_up(o, one.task, some)
    await withdraw_all(o, [event.task_id for event in stored if event.type in _OUTCOMES])
    done = {one.task.id for one in news}
    return [task_id for task_id in by_task if task_id not in done]


async def _plain_news(o: Orchestration, worker: str, reports: Sequence[Report]) -> _News | None:
    """None for what cannot be stored together with others."""
    report = reports[0]
    task = await o.store.task(report.task_id)
    if task is None or len(reports) > 1 or not _may_speak(worker, report, task):
        return None
    fresh = _fresh(task, report)
    if any(event.type is EventType.WAITING for event in fresh):
        return None
    drafts = [settled(task, draft) for draft in _drafts(report, fresh)]
    return _News(task, report, fresh, drafts)


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
        stored = await _stored(o, drafts)
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
    await _settle(o, task, stored)


async def _stored(o: Orchestration, drafts: Sequence[Draft]) -> tuple[Event, ...]:
    """What was reported, once it is durable. Raises as ``Store.append``."""
    faults.reach("server.before_report")
    stored = await o.store.append(drafts)
    faults.reach("server.after_report")
    return stored


async def conclude(o: Orchestration, task: Task, outcome: Draft) -> None:
    """Store and tell an outcome that the server finds itself."""
    stored = await o.record(settled(task, outcome))
    await _settle(o, task, stored)


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
        [event for event in report.events if not event.type.is_durable or event.number > seen]
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


async def _settle(o: Orchestration, task: Task, events: Sequence[Event]) -> None:
    """Do what follows; nobody has to answer any more what was asked for a task that has ended."""
    await _follow_up(o, task, events)
    if not _OUTCOMES.isdisjoint([event.type for event in events]):
        await withdraw_all(o, [task.id])


async def _follow_up(o: Orchestration, task: Task, events: Iterable[Event]) -> None:
    """Nothing here waits, so that the queue hears of things in the order of the store. The log is
    told once those who listen were."""
    for event in events:
        if event.type is EventType.STARTED:
            await _has_started(o, event)
            _log(task, "task started task_id=%s attempt=%s", task.id, event.attempt)
        elif event.type is EventType.RETRYING:
            await _goes_on(o, task, event)
        elif event.type is EventType.WAITING:
            await o.queue.remove(task.id)
            logger.info("task waits for an answer task_id=%s", task.id)
        elif event.type in _OUTCOMES:
            await o.queue.remove(task.id)
            o.breakers.note(task.kind, TRANSITIONS[event.type].target, event.at)
            _log(task, "task ended task_id=%s event=%s", task.id, event.type)


def _log(task: Task, message: str, *values: object) -> None:
    """A sentence of the task's story. Small steps come by the hundred: their workflow's log tells
    of them."""
    if not is_pooled(task.spec):
        asyncio.get_running_loop().call_soon(logger.info, message, *values)


async def _has_started(o: Orchestration, event: Event) -> None:
    await o.queue.started(event.task_id)
    if event.attempt > 1:
        o.queue.notify()  # a worker that still holds an earlier attempt must be told


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
