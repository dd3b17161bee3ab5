"""Why a run did not succeed, in words that lead on."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from typing import Any

from nbclient.exceptions import CellExecutionError, DeadKernelError

from opspawn_jupyter.model.states import State
from opspawn_jupyter.model.task import Problem
from opspawn_jupyter.runners import processes
from opspawn_jupyter.runners.brake import Stop

_MESSAGE_LENGTH = 4 * 1024
_TRACEBACK_LINES = 200
_TRACEBACK_LINE_LENGTH = 2 * 1024


def raised(error: CellExecutionError, cell: Any, index: int) -> Problem:
    """A cell raised an exception."""
    outputs: list[dict[str, Any]] = cell.outputs
    output = next((out for out in outputs if out["output_type"] == "error"), {})
    return shown({**output, "ename": error.ename, "evalue": error.evalue}, index)


def shown(output: Mapping[str, Any], index: int) -> Problem:
    """A cell raised what this output of it shows."""
    return Problem(
        name=str(output["ename"]),
        message=str(output["evalue"])[:_MESSAGE_LENGTH],
        traceback=_bounded(output.get("traceback", [])),
        cell_index=index,
    )


def is_clean_exit(error: CellExecutionError) -> bool:
    """The notebook ended itself with ``sys.exit()`` or ``sys.exit(0)``: as for a program, and as
    for papermill, that is no failure. The cells after it do not run."""
    return error.ename == "SystemExit" and str(error.evalue) in ("", "0", "None")


def died(failure: Exception, exit_code: int | None, index: int | None) -> Problem:
    """The kernel died, or did not come up."""
    is_death = isinstance(failure, DeadKernelError)
    return Problem(
        name=State.CRASHED.value if is_death else type(failure).__name__,
        message=str(failure)[:_MESSAGE_LENGTH],
        cell_index=index,
        signal=processes.signal_name(exit_code),
    )


def output_lost(index: int) -> Problem:
    """The kernel said that the cell was done, and never that its output was."""
    message = "The cell was done, but its output did not come to an end."
    return Problem(name=State.TIMED_OUT.value, message=message, cell_index=index)


def stopped(stop: Stop, index: int | None) -> Problem:
    """Somebody, or a limit, ended the run."""
    return Problem(name=stop.state.value, message=stop.message, cell_index=index)


def unexpected(error: BaseException) -> Problem:
    """Something raised that is not the notebook's code."""
    return Problem(
        name=type(error).__name__,
        message=str(error)[:_MESSAGE_LENGTH],
        traceback=_bounded(traceback.format_exception(error)),
    )


def _bounded(lines: list[str]) -> tuple[str, ...]:
    return tuple(line[:_TRACEBACK_LINE_LENGTH] for line in lines[-_TRACEBACK_LINES:])
