"""Cancel a task: at once where it waits, by its worker where it runs.

Between the two lies the moment in which a worker has been handed the task and nobody has heard of
its start: its cells may run already, so what is known is only that its end was asked for. The
worker is told; and where it turns out that it never had the task, the task is withdrawn.
"""

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
        if task.state is State.RUNNING or _may_have_begun(o, task):
            await _interrupt(o, task, by)
        else:
            await _withdraw(o, task, f"cancelled by {by}")
    except IllegalTransition:
        # It started or ended between the look and the write; look again.
        return await cancel(o, task.id, by)
    logger.info("task cancel requested task_id=%s by=%s", task.id, by)
    return await find(o, task.id)


def _may_have_begun(o: Orchestration, task: Task) -> bool:
    """A worker has the task, or may have it from an earlier server."""
    is_unclear = task.state is State.QUEUED and bool(o.unheard_workers)
    return is_unclear or o.queue.is_handed_out(task.id)


async def withdraw_cancelled(o: Orchestration) -> None:
    """End all that were cancelled while a worker seemed to have them, where none has."""
    for task in await o.store.unfinished():
        if _is_left(o, task):
            await withdraw_late(o, task)


def _is_left(o: Orchestration, task: Task) -> bool:
    """The task was cancelled, and there is no worker that would tell of its end."""
    is_cancelled = task.state is State.QUEUED and task.cancel_requested
    return is_cancelled and not _may_have_begun(o, task)


async def withdraw_late(o: Orchestration, task: Task) -> None:
    """End a task that was cancelled while a worker seemed to have it."""
    try:
        await _withdraw(o, task, "cancelled")
    except IllegalTransition:
        logger.debug("task ended before it was withdrawn task_id=%s", task.id)


async def _withdraw(o: Orchestration, task: Task, how: str) -> None:
    when = "while it waited for its next attempt" if task.attempt else "before it started"
    problem = Problem(name="Cancelled", message=f"{how} {when}")
    error = {"error": wire.encode(problem)}
    o.withdrawing.add(task.id)
    try:
        await o.record(Draft(task_id=task.id, type=EventType.WITHDRAWN, data=error))
        await o.queue.remove(task.id)
    finally:
        o.withdrawing.discard(task.id)
        o.queue.notify()  # where it is not withdrawn, it is to be handed out
    await withdraw_all(o, [task.id])
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
    current = await find(o, task.id)
    if _is_left(o, current):  # its worker was found dead while this was written
        await withdraw_late(o, current)
