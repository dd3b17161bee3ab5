"""Our engine under papermill's own command line: its options, exceptions and exit codes."""

from __future__ import annotations

import os
import sys
from types import FrameType
from typing import Any

from nbclient.exceptions import CellTimeoutError
from papermill.execute import execute_notebook

from opspawn_jupyter.model.states import State
from opspawn_jupyter.model.work import Grace
from opspawn_jupyter.runners.brake import Brake
from opspawn_jupyter.runners.engine import Execution, Limits, Outcome
from opspawn_jupyter.runners.kernel import Kernel
from opspawn_jupyter.runners.saving import SavingManager


def execute(
    nb: Any,
    kernel_name: str,
    *,
    output_path: str | None = None,
    progress_bar: Any = True,
    log_output: bool = False,
    stdout_file: Any = None,
    stderr_file: Any = None,
    start_timeout: float = 60,
    execution_timeout: float | None = None,
    **_unused: Any,
) -> Any:
    """The executed notebook, with a failure of its code in it, as papermill wants it.

    Raises ``DeadKernelError`` (papermill exits with 138) and ``CellTimeoutError``. What papermill
    passes besides, such as its interval of saving, has no meaning here.
    """
    manager = SavingManager(nb, output_path, progress_bar=progress_bar, log_output=log_output)
    limits = Limits(cell_seconds=execution_timeout, grace=Grace(kernel_start_seconds=start_timeout))
    options = {"log_output": log_output, "stdout_file": stdout_file, "stderr_file": stderr_file}
    manager.notebook_start()
    is_saved = False
    try:
        outcome = Execution(
            manager,
            Kernel(kernel_name, grace=limits.grace, env=os.environ),
            tell=lambda _type, _data: None,
            limits=limits,
            brake=Brake(),
            client_options=options,
        ).run()
        _raise_for(outcome)
        is_saved = _is_called_by_papermill()
    finally:
        manager.put_end_down()
        if not is_saved:
            manager.write_at_last()
    return manager.nb


def _is_called_by_papermill() -> bool:
    """It saves what an engine returns, also where the engine has done so: of large outputs once
    is enough. What calls engines by itself may not."""
    frame: FrameType | None = sys._getframe()  # noqa: SLF001  the name means "of CPython"
    while frame is not None and frame.f_code is not execute_notebook.__code__:
        frame = frame.f_back
    return frame is not None


def _raise_for(outcome: Outcome) -> None:
    if outcome.state is State.CRASHED and outcome.cause is not None:
        raise outcome.cause
    if outcome.state is State.TIMED_OUT and outcome.problem is not None:
        raise CellTimeoutError(outcome.problem.message)
