"""Do a workflow again, or part of it: a new task that keeps what is still good of the old one."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping
from typing import Any

from opspawn_jupyter.errors import IllegalTransition, InvalidRequest
from opspawn_jupyter.model import graph, wire
from opspawn_jupyter.model.states import State
from opspawn_jupyter.model.task import Submission, Task
from opspawn_jupyter.model.workflow import GRAPH_NAME, SOURCE_NAME, WORKFLOW, Workflow
from opspawn_jupyter.model.workflow_view import RerunRequest
from opspawn_jupyter.orchestrator.accept import Accepted, accept
from opspawn_jupyter.orchestrator.context import Orchestration
from opspawn_jupyter.orchestrator.workflow.history import recall
from opspawn_jupyter.orchestrator.workflow.progress import Progress
from opspawn_jupyter.ports import Prepared

logger = logging.getLogger(__name__)


async def rerun(o: Orchestration, reference: str, request: RerunRequest, by: str) -> Task:
    """A new run of the workflow as its file is now, or as it was where the file is gone.

    Raises ``IllegalTransition`` where the old run has not ended, ``WorkflowInvalid`` where the
    file has mistakes by now.
    """
    progress = await recall(o, reference)
    task = progress.task
    if not task.state.is_final:
        raise IllegalTransition("rerun", hint=f"the workflow has not ended; it is {task.state}")
    _check(progress, request)
    prepared = await asyncio.to_thread(_prepared, o, progress, request)
    workflow = _graph(prepared)
    spec = {
        **prepared.spec,
        "reuse": _kept(progress, workflow, request),
        "force": request.force,
        "forced_steps": _from(workflow, request.from_step),
    }
    again = await accept(
        o,
        Accepted(
            submission=Submission(
                kind=WORKFLOW,
                spec=spec,
                name=task.name,
                policy=task.policy,
                labels=task.labels,
                on_success=task.on_success,
                on_failure=task.on_failure,
            ),
            prepared=Prepared(name=task.name, spec=spec, files=prepared.files),
            submitted_by=by,
            retry_of=task.id,
        ),
    )
    logger.info("workflow rerun task_id=%s as=%s kept=%d", task.id, again.id, len(spec["reuse"]))
    return again


def _check(progress: Progress, request: RerunRequest) -> None:
    if request.from_step is not None and request.from_step not in progress.steps:
        known = ", ".join(list(progress.steps)[:20])
        raise InvalidRequest(request.from_step, hint=f"there is no such step; there are {known}")
    is_repair = not (
        request.from_step or request.parameters or request.parameters_text or request.force
    )
    if is_repair and progress.task.state is State.SUCCESS:
        hint = "nothing of it failed; say from which step, or with which parameters"
        raise IllegalTransition("repair", hint=hint)


def _prepared(o: Orchestration, progress: Progress, request: RerunRequest) -> Prepared:
    """Checked anew: notebooks and plugins may have changed, which is what a repair is for."""
    spec = progress.task.spec
    root = o.settings.root_directory
    path = spec.get("path")
    source: dict[str, Any] = {"path": path}
    if path is None or not (root / path).is_file():
        pinned = root / progress.task.run_directory / SOURCE_NAME
        source = {"source": pinned.read_text(encoding="utf-8", errors="replace")}
    values = {**spec.get("parameters", {}), **request.parameters}
    asked = {
        **source,
        "directory": spec.get("directory"),
        "parameters": {k: v for k, v in values.items() if k not in request.parameters_text},
        "parameters_text": dict(request.parameters_text),
        "log_directory": spec.get("log_directory"),
    }
    return o.kinds[WORKFLOW].prepare(asked)


def _graph(prepared: Prepared) -> Workflow:
    return wire.decode(Workflow, json.loads(prepared.files[GRAPH_NAME]))


def _from(workflow: Workflow, step_id: str | None) -> list[str]:
    """The step and all that follows it: what was asked for, whatever the cache has of it."""
    return [] if step_id is None else [step_id, *_following(workflow, [step_id])]


def _following(workflow: Workflow, step_ids: list[str]) -> list[str]:
    edges: Mapping[str, Any] = {step.id: step.depends_on for step in workflow.steps}
    return graph.reachable(step_ids, graph.dependents(edges), len(edges))


def _kept(progress: Progress, workflow: Workflow, request: RerunRequest) -> dict[str, str]:
    """Tasks of the old run whose results still hold, by step."""
    if request.force or request.parameters or request.parameters_text:
        return {}
    again = [
        step.id
        for step in workflow.steps
        if step.id not in progress.steps
        or progress.steps[step.id].step != step
        or progress.steps[step.id].state is not State.SUCCESS
        or step.id == request.from_step
    ]
    after = _following(workflow, again)
    gone = {*again, *after}
    return {
        task.step: task.id
        for name, step in progress.steps.items()
        for task in step.tasks.values()
        if task.state is State.SUCCESS
        and task.step is not None
        # Of a step that is done again, its items that succeeded stay; unless it was asked for.
        and (name not in gone or _is_item_kept(name, step, after, request))
    }


def _is_item_kept(name: str, step: Any, after: list[str], request: RerunRequest) -> bool:
    return step.items is not None and name not in after and name != request.from_step
