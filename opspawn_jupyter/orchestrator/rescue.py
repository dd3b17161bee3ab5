"""After a death: nothing stays running for ever, and no finished result is lost."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from pathlib import Path

from opspawn_jupyter.errors import IllegalTransition
from opspawn_jupyter.model import clock, executed_notebook, run_journal, summary, wire
from opspawn_jupyter.model.event import Draft
from opspawn_jupyter.model.run_directory import RunDirectory
from opspawn_jupyter.model.states import EventType, State
from opspawn_jupyter.model.task import Problem, Task
from opspawn_jupyter.model.work import Report, ReportedEvent
from opspawn_jupyter.model.workflow import WORKERLESS
from opspawn_jupyter.orchestrator.accept import await_turn
from opspawn_jupyter.orchestrator.cancel import withdraw_cancelled
from opspawn_jupyter.orchestrator.context import Orchestration
from opspawn_jupyter.orchestrator.report import conclude, take_in

logger = logging.getLogger(__name__)


async def recover(o: Orchestration, live_workers: Collection[str]) -> None:
    """Bring every unfinished task to where it belongs. Called once, when the server starts.

    Waiting tasks go back into the queue, or wait on for their time. Running ones whose worker
    still lives are left to it; the others are settled from what their worker wrote down before
    it died.
    """
    await _take_in_starts(o, lambda _worker: True)
    for task in await o.store.unfinished():
        if task.state is State.PENDING and task.due_at is None:
            await o.record(Draft(task_id=task.id, type=EventType.QUEUED))
            await await_turn(o, replace(task, state=State.QUEUED))
        elif task.state is State.RUNNING and task.kind in WORKERLESS:
            continue  # whoever moves them on looks at them himself
        elif task.state is not State.RUNNING:
            await await_turn(o, task)
        elif task.worker in live_workers:
            await o.queue.put(task)
            await o.queue.started(task.id)
        else:
            await _settle(o, task)
    o.unheard_workers.update(live_workers)
    await withdraw_cancelled(o)


async def worker_lost(o: Orchestration, worker: str) -> None:
    """The worker is dead: settle what it ran, offer what it had not started to others."""
    await _take_in_starts(o, lambda starter: starter == worker)
    for task in await o.store.unfinished():
        if task.state is State.RUNNING and task.worker == worker:
            await _settle(o, task)
    await o.queue.release(worker)
    o.unheard_workers.discard(worker)
    await withdraw_cancelled(o)


async def _take_in_starts(o: Orchestration, is_meant: Callable[[str], bool]) -> None:
    """Attempts that these workers began, and of which the server has not heard: given out again,
    they would run twice. A worker that lives repeats its report, without harm."""
    queued = [task for task in await o.store.unfinished() if task.state is State.QUEUED]
    begun = await asyncio.to_thread(_begun, o.settings.root_directory, queued)
    for task, events in begun:
        if is_meant(str(events[0].data.get("worker"))):
            await _believe(o, task, _report(task, task.attempt + 1, events))
            await _settle_ended(o, task)


async def _settle_ended(o: Orchestration, task: Task) -> None:
    """Its journal may tell the end as well: a step's process keeps it, and its worker, which was to
    write the summary, may have died before. A worker that lives writes the same."""
    current = await o.store.task(task.id)
    if current is not None and current.state.is_final:
        directory = RunDirectory(o.settings.root_directory / task.run_directory)
        await asyncio.to_thread(_settle_files, directory, current, current.state)


async def _believe(o: Orchestration, task: Task, report: Report) -> None:
    """Take in what a journal says, unless that makes no sense: cells can write that file."""
    try:
        await take_in(o, task, report)
    except (ValueError, KeyError, TypeError, AttributeError):
        logger.exception("journal of a run makes no sense task_id=%s", task.id)


def _begun(root: Path, tasks: Sequence[Task]) -> list[tuple[Task, tuple[ReportedEvent, ...]]]:
    """Those whose next attempt has a beginning in the run directory's journal."""
    journals = [(task, RunDirectory(root / task.run_directory).events) for task in tasks]
    found = [
        (task, run_journal.events(journal, task.attempt + 1))
        for task, journal in journals
        if journal.exists()
    ]
    return [(task, events) for task, events in found if events]


def _report(task: Task, attempt: int, events: tuple[ReportedEvent, ...]) -> Report:
    return Report(task_id=task.id, attempt=attempt, events=events)


async def _settle(o: Orchestration, task: Task) -> None:
    """First what the worker could not report any more; then, without an outcome, a crash."""
    directory = RunDirectory(o.settings.root_directory / task.run_directory)
    events = await asyncio.to_thread(run_journal.events, directory.events, task.attempt)
    await _believe(o, task, _report(task, task.attempt, events))
    current = await o.store.task(task.id)
    if current is not None and (current.state, current.attempt) == (State.RUNNING, task.attempt):
        await _conclude(o, current)
    else:
        await _settle_ended(o, task)


async def _conclude(o: Orchestration, task: Task) -> None:
    problem = Problem(name="WorkerDied", message="the worker process that ran it died")
    error = {"error": wire.encode(problem)}
    try:
        await conclude(
            o,
            task,
            Draft(task_id=task.id, type=EventType.CRASHED, attempt=task.attempt, data=error),
        )
    except IllegalTransition:  # a late report or a cancellation came between
        await _settle(o, task)
        return
    directory = RunDirectory(o.settings.root_directory / task.run_directory)
    ended = await o.store.task(task.id)
    await asyncio.to_thread(_settle_files, directory, ended or task, State.CRASHED)
    logger.warning("task crashed with its worker task_id=%s worker=%s", task.id, task.worker)


def _settle_files(directory: RunDirectory, task: Task, outcome: State) -> None:
    """What the runner and the worker would have written, had they lived."""
    try:
        executed_notebook.settle_file(directory.output, task, outcome, clock.now())
        summary.write(directory, task)
    except (OSError, ValueError):
        logger.exception("files of a run cannot be settled task_id=%s", task.id)
