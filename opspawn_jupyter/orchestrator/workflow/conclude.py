"""How a workflow ends, once all of its steps have."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from opspawn_jupyter.model import template, wire
from opspawn_jupyter.model.event import Draft
from opspawn_jupyter.model.expression import TemplateError
from opspawn_jupyter.model.states import EventType, State
from opspawn_jupyter.model.task import Problem
from opspawn_jupyter.orchestrator.workflow import scope
from opspawn_jupyter.orchestrator.workflow.progress import Progress, StepProgress

_GOOD = (State.SUCCESS, State.SKIPPED, None)


def ending(
    progress: Progress, root: Path, *, is_late: bool, fault: Problem | None
) -> tuple[Draft, ...]:
    """The events that end the workflow: its outputs, and its outcome. ``is_late``: its time limit
    has ended it. ``fault``: what went wrong beside the steps."""
    outcome, problem = _outcome(progress, is_late=is_late, fault=fault)
    outputs: dict[str, Any] = {}
    if outcome is EventType.SUCCEEDED:
        try:
            outputs = _outputs(progress, root)
        except TemplateError as failure:
            outcome = EventType.FAILED
            problem = Problem(name="OutputInvalid", message=f"outputs: {failure}")
    return tuple(_drafts(progress, outcome, outputs, problem))


def _drafts(
    progress: Progress, outcome: EventType, outputs: dict[str, Any], problem: Problem | None
) -> Iterator[Draft]:
    task = progress.task
    for name, value in outputs.items():
        given = {"name": name, "value": value}
        yield Draft(task_id=task.id, type=EventType.STEP_OUTPUT, attempt=task.attempt, data=given)
    error = {"error": wire.encode(problem)} if problem else {}
    yield Draft(task_id=task.id, type=outcome, attempt=task.attempt, data=error)


def _outcome(
    progress: Progress, *, is_late: bool, fault: Problem | None
) -> tuple[EventType, Problem | None]:
    task = progress.task
    if task.cancel_requested:
        return EventType.CANCELLED, Problem(name="Cancelled", message="it was cancelled")
    if is_late:
        limit = task.policy.timeout_seconds
        message = f"the workflow did not end within its limit of {limit:g} seconds"
        return EventType.TIMED_OUT, Problem(name="timed_out", message=message)
    problem = fault or _failure(progress)
    return (EventType.FAILED, problem) if problem else (EventType.SUCCEEDED, None)


def _outputs(progress: Progress, root: Path) -> dict[str, Any]:
    asked = progress.workflow.outputs
    names = scope.whole_scope(progress, root) if asked else {}
    return {name: template.resolve(value, names) for name, value in asked.items()}


def _failure(progress: Progress) -> Problem | None:
    """What is to be said of the steps that did not succeed."""
    bad = [step for step in progress.steps.values() if step.state not in _GOOD]
    if not bad:
        return None
    skipped = sum(step.state is State.SKIPPED for step in progress.steps.values())
    more = f"; {len(bad) - 1} more did not succeed" if len(bad) > 1 else ""
    rest = f"; {skipped} skipped" if skipped else ""
    return Problem(name="StepFailed", message=_said(bad[0]) + more + rest)


def _said(step: StepProgress) -> str:
    tasks = step.tasks.values()
    first = next((task for task in tasks if task.error and task.state is step.state), None)
    why = f": {first.error.message}" if first and first.error else ""
    state = step.state.value if step.state else ""
    return f"step {step.step.id!r} {state}{why}".removesuffix(".")
