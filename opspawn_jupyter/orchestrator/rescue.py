"""After a death: nothing stays running for ever, and no finished result is lost."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Collection, Iterator
from pathlib import Path

from opspawn_jupyter.model import wire
from opspawn_jupyter.model.event import Draft
from opspawn_jupyter.model.run_directory import RunDirectory
from opspawn_jupyter.model.states import EventType, State
from opspawn_jupyter.model.task import Problem, Task
from opspawn_jupyter.model.work import Report, ReportedEvent
from opspawn_jupyter.orchestrator.context import Orchestration
from opspawn_jupyter.orchestrator.report import take_in

logger = logging.getLogger(__name__)


async def recover(o: Orchestration, live_workers: Collection[str]) -> None:
    """Bring every unfinished task to where it belongs. Called once, when the server starts.

    Waiting tasks go back into the queue. Running ones whose worker still lives are left to it;
    the others are settled from what their worker wrote down before it died.
    """
    for task in await o.store.unfinished():
        if task.state is State.PENDING:
            await o.record(Draft(task_id=task.id, type=EventType.QUEUED))
        if task.state in (State.PENDING, State.QUEUED):
            await o.queue.put(task)
        elif task.worker not in live_workers:
            await _settle(o, task)


async def worker_lost(o: Orchestration, worker: str) -> None:
    """The worker is dead: settle what it ran, offer what it had not started to others."""
    await o.queue.release(worker)
    for task in await o.store.unfinished():
        if task.state is State.RUNNING and task.worker == worker:
            await _settle(o, task)


async def _settle(o: Orchestration, task: Task) -> None:
    """First what the worker could not report any more; then, without an outcome, a crash."""
    directory = RunDirectory(o.settings.root_directory / task.run_directory)
    events = await asyncio.to_thread(_journalled, directory.events, task.attempt)
    await take_in(o, task, Report(task_id=task.id, attempt=task.attempt, events=events))
    current = await o.store.task(task.id)
    if current is None or current.state.is_final:
        return
    problem = Problem(name="WorkerDied", message="the worker process that ran it died")
    error = {"error": wire.encode(problem)}
    await o.record(Draft(task_id=task.id, type=EventType.CRASHED, attempt=task.attempt, data=error))
    logger.warning("task crashed with its worker task_id=%s worker=%s", task.id, task.worker)


def _journalled(path: Path, attempt: int) -> tuple[ReportedEvent, ...]:
    """The attempt's events in a worker's journal; none where it never wrote one."""
    try:
        lines = path.read_bytes().splitlines(keepends=True)
    except OSError:
        logger.warning("journal of a run cannot be read path=%s", path)
        return ()
    return tuple(_readable(lines, attempt))


def _readable(lines: list[bytes], attempt: int) -> Iterator[ReportedEvent]:
    for line in lines:
        if not line.endswith(b"\n"):
            return  # the worker died while it wrote this one
        record = json.loads(line)
        if record.get("attempt") == attempt:
            yield wire.decode(ReportedEvent, record)
