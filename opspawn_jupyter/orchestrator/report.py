"""Take in what a worker saw. Repeated, reordered and late reports change nothing."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence

from opspawn_jupyter.errors import IllegalTransition
from opspawn_jupyter.model.event import Draft, Event
from opspawn_jupyter.model.states import OUTCOME_EVENTS, EventType
from opspawn_jupyter.model.task import Task
from opspawn_jupyter.model.work import Report, ReportAnswer, ReportedEvent, ReportRequest
from opspawn_jupyter.orchestrator.context import Orchestration

logger = logging.getLogger(__name__)


async def report(o: Orchestration, worker: str, request: ReportRequest) -> ReportAnswer:
    """Everything durable is stored when this returns; ``unknown`` names what the store lacks."""
    unknown = []
    for one in request.reports:
        task = await o.store.task(one.task_id)
        if task is None or not _may_speak(worker, one, task):
            unknown.append(one.task_id)
        else:
            await take_in(o, task, one)
    return ReportAnswer(unknown=tuple(unknown))


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
    try:
        stored = await o.store.append(_drafts(report, fresh))
    except IllegalTransition as refusal:
        # The same report on two connections, or a task that ended meanwhile: what is still new
        # after a second look is stored, the rest is late and has no say.
        current = await o.store.task(task.id)
        if current is None or _fresh(current, report) == fresh:
            logger.warning("late report dropped task_id=%s reason=%s", task.id, refusal)
            return
        await take_in(o, current, report)
        return
    o.bus.tell(_in_order(report, fresh, stored, await o.store.last_seq()))
    await _follow_up(o, task.id, fresh)


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
    return told


async def _follow_up(o: Orchestration, task_id: str, events: Iterable[ReportedEvent]) -> None:
    types = {event.type for event in events}
    if EventType.STARTED in types:
        await o.queue.remove(task_id)
        logger.info("task started task_id=%s", task_id)
    if outcome := types & set(OUTCOME_EVENTS.values()):
        logger.info("task ended task_id=%s event=%s", task_id, *outcome)
