"""What is left to do where a runner died without telling an outcome."""

from __future__ import annotations

import logging

import psutil

from opspawn_jupyter.model import executed_notebook
from opspawn_jupyter.model.clock import now
from opspawn_jupyter.model.run_directory import RunDirectory
from opspawn_jupyter.model.states import State
from opspawn_jupyter.model.task import Problem, Task
from opspawn_jupyter.model.work import TASK_VARIABLE
from opspawn_jupyter.runners import processes, sockets

_log = logging.getLogger(__name__)


def clean_up(task_id: str, runner_pid: int, started_kernel: psutil.Process | None) -> None:
    """End the kernel with all that it started, and remove its files."""
    if started_kernel is not None and _is_ours(started_kernel):
        processes.kill_session(started_kernel.pid)
    # A kernel that died first leaves children that belong to nobody.
    processes.kill(processes.marked(TASK_VARIABLE, task_id))
    sockets.forget(runner_pid)


def _is_ours(process: psutil.Process) -> bool:
    """It lives, or nothing has its id: then its group may still have members."""
    return bool(process.is_running() or not psutil.pid_exists(process.pid))


def settle_notebook(directory: RunDirectory, task: Task, outcome: State) -> None:
    """Make the executed notebook say what became of its cells, as far as it was written."""
    try:
        executed_notebook.settle_file(directory.output, task, outcome, now())
    except (OSError, ValueError):
        _log.exception("executed notebook cannot be settled task_id=%s", task.id)


def runner_death(exit_code: int | None, task: Task) -> Problem:
    """Why the task crashed."""
    name = processes.signal_name(exit_code)
    how = f"was killed by {name}" if name else f"ended with exit code {exit_code}"
    return Problem(
        name=State.CRASHED.value,
        message=f"The process that ran the task {how}.",
        cell_index=task.running_cell.index if task.running_cell else None,
        signal=name,
    )
