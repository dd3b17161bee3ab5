"""What became of a task: its outputs, or the error that says why there are none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opspawn_jupyter import errors
from opspawn_jupyter.client.task_text import problem_line
from opspawn_jupyter.model import wire
from opspawn_jupyter.model.ids import short
from opspawn_jupyter.model.states import State
from opspawn_jupyter.model.task import Task

_ERRORS: Mapping[State, type[errors.TaskError]] = {
    State.FAILED: errors.TaskFailed,
    State.TIMED_OUT: errors.TaskTimedOut,
    State.CRASHED: errors.TaskCrashed,
    State.CANCELLED: errors.TaskCancelled,
    State.SKIPPED: errors.TaskSkipped,
}


def outputs(task: Task) -> dict[str, Any]:
    """What a successful task gave with ``step.output``, by name.

    Raises the ``TaskError`` of its outcome, or ``TaskNotFinished``.
    """
    if not task.state.is_final:
        raise errors.TaskNotFinished(short(task.id), hint=f"it is {task.state.value}")
    if task.state is not State.SUCCESS:
        raise error_of(task)
    return dict(task.outputs)


def error_of(task: Task) -> errors.TaskError:
    """The error of a task that did not succeed."""
    hint = "" if task.state is State.CANCELLED else problem_line(task).removesuffix(".")
    return _ERRORS[task.state](short(task.id), hint=hint, detail={"task": wire.encode(task)})
