"""A run as the store and its run directory have it, for those who only look."""

from __future__ import annotations

import asyncio
import json

from opspawn_jupyter.errors import ArtifactNotFound, InvalidRequest
from opspawn_jupyter.model import wire
from opspawn_jupyter.model.states import State
from opspawn_jupyter.model.task import Task
from opspawn_jupyter.model.workflow import GRAPH_NAME, WORKFLOW, Workflow
from opspawn_jupyter.model.workflow_view import StepView, WorkflowView
from opspawn_jupyter.orchestrator.context import Orchestration
from opspawn_jupyter.orchestrator.find import find
from opspawn_jupyter.orchestrator.workflow.load import children_of
from opspawn_jupyter.orchestrator.workflow.progress import (
    Progress,
    StepProgress,
    present_state,
    split_name,
)


async def recall(o: Orchestration, reference: str) -> Progress:
    """Where the run stands. Raises ``TaskNotFound``, ``InvalidRequest`` for a task that is no
    workflow, ``ArtifactNotFound`` where its run directory is gone."""
    task = await find(o, reference)
    if task.kind != WORKFLOW:
        raise InvalidRequest(reference, hint=f"that task is no workflow but of kind {task.kind}")
    progress = Progress(task, await graph_of(o, task))
    for child in await children_of(o, task.id):
        step = progress.steps.get(split_name(child.step or "")[0])
        if step is not None:
            progress.put(step, child)
    for step in progress.steps.values():
        if step.tasks and None not in step.tasks:
            step.items = [None] * len(step.tasks)
            step.submitted = len(step.tasks)
        elif step.step.for_each is not None and not step.tasks and _has_ended_whole(task):
            step.is_decided = True  # without items there is nothing that could be in the store
    for name in progress.order:
        progress.settle(progress.steps[name])
    return progress


def _has_ended_whole(task: Task) -> bool:
    return task.state.is_final and task.state is not State.CRASHED


async def graph_of(o: Orchestration, task: Task) -> Workflow:
    """The pinned graph. Raises ``ArtifactNotFound``."""
    path = o.settings.root_directory / task.run_directory / GRAPH_NAME
    try:
        text = await asyncio.to_thread(path.read_bytes)
        return wire.decode(Workflow, json.loads(text))
    except (OSError, ValueError) as failure:
        hint = "the run directory of this workflow is gone"
        raise ArtifactNotFound(GRAPH_NAME, hint=hint) from failure


async def view(o: Orchestration, reference: str) -> WorkflowView:
    """The run with its steps. Raises as ``recall`` does."""
    progress = await recall(o, reference)
    steps = tuple(_view(step) for step in progress.steps.values())
    return WorkflowView(task=progress.task, steps=steps)


def _view(step: StepProgress) -> StepView:
    tasks = [step.tasks[number] for number in sorted(step.tasks, key=lambda n: n or 0)]
    times = [task.duration_seconds for task in tasks if task.duration_seconds is not None]
    error = next((task.error for task in tasks if task.error), None)
    return StepView(
        id=step.step.id,
        kind=step.step.kind,
        description=step.step.description,
        depends_on=step.step.depends_on,
        state=present_state(step).value,
        task_ids=tuple(task.id for task in tasks),
        ended=sum(task.state.is_final for task in tasks),
        duration_seconds=max(times) if times else None,
        reused_from=tasks[0].reused_from if len(tasks) == 1 else None,
        reason=error.message if error else "",
        outputs=step.upstream.outputs,
    )
