"""Cancel a task: at once where it waits, by its worker where it runs."""

from __future__ import annotations

import asyncio
import logging

from opspawn_jupyter.errors import IllegalTransition
from opspawn_jupyter.model import summary, wire
from opspawn_jupyter.model.event import Draft
from opspawn_jupyter.model.run_directory import RunDirectory
from opspawn_jupyter.model.states import EventType, State
from opspawn_jupyter.model.task import Problem, Task
from opspawn_jupyter.orchestrator.context import Orchestration
from opspawn_jupyter.orchestrator.find import find
from opspawn_jupyter.orchestrator.question import withdraw_all

logger = logging.getLogger(__name__)


async def cancel(o: Orchestration, reference: str, by: str) -> Task:
    """The task, cancelled or about to be. Asking again changes nothing.

    Raises ``IllegalTransition`` where it has ended already.
    """
    task = await find(o, reference)
    if task.state.is_final:
        raise IllegalTransition("cancel", hint=f"the task has ended: it is {task.state.value}")
    if task.cancel_requested:
        return task
    try:
        await (_interrupt if task.state is State.RUNNING else _withdraw)(o, task, by)
    except IllegalTransition:
        # It started or ended between the look and the write; look again.
        return await cancel(o, task.id, by)
    logger.info("task cancel requested task_id=%s by=%s", task.id, by)
    return await find(o, task.id)


async def _withdraw(o: Orchestration, task: Task, by: str) -> None:
    when = "while it waited for its next attempt" if task.attempt else "before it started"
    problem = Problem(name="Cancelled", message=f"cancelled by {by} {when}")
    error = {"error": wire.encode(problem)}
    await o.record(Draft(task_id=task.id, type=EventType.WITHDRAWN, data=error))
    await o.queue.remove(task.id)
    o.queue.notify()  # a worker that was just handed it must be told
    await withdraw_all(o, task.id)
    if task.attempt:
        await _summarise(o, task)


async def _summarise(o: Orchestration, task: Task) -> None:
    """Its last attempt's worker has written another end."""
    ended = await o.store.task(task.id)
    directory = RunDirectory(o.settings.root_directory / task.run_directory)
    try:
        await asyncio.to_thread(summary.write, directory, ended or task)
    except OSError:
        logger.exception("summary cannot be written task_id=%s", task.id)


async def _interrupt(o: Orchestration, task: Task, by: str) -> None:
    await o.record(
        Draft(
            task_id=task.id,
            type=EventType.CANCEL_REQUESTED,
            attempt=task.attempt,
            data={"by": by},
        )
    )
    o.queue.notify()
