"""Give a worker what it is to do, as soon as there is something."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from opspawn_jupyter import faults, timeline
from opspawn_jupyter.model.agent import AGENT
from opspawn_jupyter.model.agent_door import AgentDoor
from opspawn_jupyter.model.question import Question
from opspawn_jupyter.model.states import State
from opspawn_jupyter.model.task import Task
from opspawn_jupyter.model.work import Assignment, Keeping, OutputLimits, TakeAnswer, TakeRequest
from opspawn_jupyter.orchestrator.cancel import withdraw_cancelled, withdraw_late
from opspawn_jupyter.orchestrator.context import Orchestration
from opspawn_jupyter.orchestrator.question import questions
from opspawn_jupyter.settings import Settings

_GATHER_SECONDS = 0.02


async def take(o: Orchestration, worker: str, request: TakeRequest) -> TakeAnswer:
    """Assignments and cancellations for the worker; empty after ``wait_seconds`` without any, or
    once the worker asks anew: it has a slot more to offer, or has not had the answer."""
    deadline = time.monotonic() + request.wait_seconds
    turn = o.turns[worker] = o.turns.get(worker, 0) + 1
    if turn > 1:
        o.queue.notify()  # an earlier request of the worker may be waiting
    while o.turns[worker] == turn:
        version = o.queue.version
        answer = await _look(o, worker, request)
        remaining = deadline - time.monotonic()
        if answer.assignments or answer.cancel or remaining <= 0:
            return answer
        await o.queue.changed(version, remaining)
        if request.free_slots == 0:  # nothing but cancellations: they may gather
            await asyncio.sleep(min(remaining, _GATHER_SECONDS))
    return TakeAnswer()


async def _look(o: Orchestration, worker: str, request: TakeRequest) -> TakeAnswer:
    taken = await o.queue.take(worker, request.free_slots, request.held)
    if worker in o.unheard_workers:
        o.unheard_workers.remove(worker)
        await withdraw_cancelled(o)
    assignments = []
    common = _common(o.settings)
    for task_id in taken:
        if task_id in o.withdrawing:  # to be seen before the store is: it has it a moment later
            continue
        task = await o.store.task(task_id)
        if task is None or task.state is not State.QUEUED:
            await o.queue.remove(task_id)  # it was cancelled while it waited
        elif task.cancel_requested:
            await withdraw_late(o, task)  # the worker that was handed it never had it
        else:
            asked = await questions(o, is_open=None, task_id=task.id) if task.waits else ()
            assignments.append(_assignment(o, common, task, asked))
    if assignments:
        timeline.reach("server.assigned")
        faults.reach("server.before_assign")
    return TakeAnswer(assignments=tuple(assignments), cancel=await _to_cancel(o, request))


def _common(settings: Settings) -> Mapping[str, Any]:
    """What is the same in all assignments."""
    return {
        "root_directory": str(settings.root_directory),
        "output_limits": OutputLimits(
            cell_bytes=settings.max_cell_output_bytes,
            notebook_bytes=settings.max_notebook_output_bytes,
            cell_outputs=settings.max_cell_outputs,
        ),
        "keeping": Keeping(kernels=settings.kept_kernels, seconds=settings.kept_kernel_seconds),
    }


def _assignment(
    o: Orchestration, common: Mapping[str, Any], task: Task, asked: tuple[Question, ...]
) -> Assignment:
    return Assignment(
        **common,
        task_id=task.id,
        attempt=task.attempt + 1,
        kind=task.kind,
        name=task.name,
        spec=task.spec,
        policy=task.policy,
        # Path objects for it take a third of the time of all of this.
        run_directory=os.path.join(common["root_directory"], task.run_directory),  # noqa: PTH118
        group=task.parent_id or task.id,
        questions=asked,
        environment=o.keys.environment(task, task.attempt + 1) if o.keys else {},
        door=_door(o, task),
    )


def _door(o: Orchestration, task: Task) -> AgentDoor | None:
    if o.keys is None or task.kind != AGENT:
        return None
    door = o.keys.agent_door(task, task.attempt + 1)
    return replace(
        door,
        secrets_file=str(o.settings.state_directory / "secrets.json"),
        shares_budget=bool(o.settings.agent_limits),
    )


async def _to_cancel(o: Orchestration, request: TakeRequest) -> tuple[str, ...]:
    """Held tasks that somebody cancelled, and those that have ended without this worker."""
    tasks = [
        (attempt, task_id, await o.store.task(task_id))
        for task_id, attempt in request.held.items()
        if task_id not in request.cancelling
    ]
    return tuple(
        task_id
        for attempt, task_id, task in tasks
        if task is None
        or task.cancel_requested
        or task.state.is_final
        or task.attempt > attempt  # it was given up, and another worker goes on
    )
