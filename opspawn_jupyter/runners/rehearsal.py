"""What a run does before its kernel is up, done once so that no run has to do it first.

Most of what that takes is not importing: nbformat compiles its schemas to code (0.2 s), Jupyter
looks for kernelspecs by way of IPython (0.2 s), and the ways to start a kernel are found by reading
the metadata of every installed package.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import nbformat
from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

from opspawn_jupyter.kernels.task import TaskKernelManager
from opspawn_jupyter.model import wire
from opspawn_jupyter.model.clock import now
from opspawn_jupyter.model.notebook import NotebookSpec
from opspawn_jupyter.model.run_directory import RunDirectory
from opspawn_jupyter.model.states import EventType
from opspawn_jupyter.model.work import Grace, ReportedEvent
from opspawn_jupyter.runners import loops, prepare
from opspawn_jupyter.runners.brake import Brake
from opspawn_jupyter.runners.echo import EchoDirectKernel, EchoKernel
from opspawn_jupyter.runners.engine import Execution, Limits, Outcome
from opspawn_jupyter.runners.environment import record
from opspawn_jupyter.runners.kernel import Kernel
from opspawn_jupyter.runners.kernel_variables import kernel_environment
from opspawn_jupyter.runners.saving import SavingManager

_KERNEL = "python3"
_SPEC = NotebookSpec(
    notebook=None,
    parameters={"x": 1},
    kernel=_KERNEL,
    language="python",
    working_directory=".",
    source_sha256="",
)
_OLD_MINOR, _NEW_MINOR = 4, 5


def rehearse() -> None:
    """Prepare and save a notebook of one cell. Starts nothing, and leaves nothing."""
    with tempfile.TemporaryDirectory() as place:
        files = RunDirectory(Path(place))
        for minor in (_OLD_MINOR, _NEW_MINOR):
            manager = _prepared(files, minor)
            manager.notebook_start()
            manager.notebook_complete()
            nbformat.validate(manager.nb)
    try:
        KernelSpecManager().get_kernel_spec(_KERNEL)
    except NoSuchKernel:
        return
    TaskKernelManager(kernel_name=_KERNEL)


def perform() -> list[Outcome]:
    """Run that notebook in both tiers, with kernels that only pretend. Leaves nothing."""
    with tempfile.TemporaryDirectory() as place:
        files = RunDirectory(Path(place))
        return [_performed(kind, files) for kind in (EchoKernel, EchoDirectKernel)]


def _performed(kind: type[Kernel], files: RunDirectory) -> Outcome:
    manager = _prepared(files, _NEW_MINOR)
    variables = kernel_environment(os.environ, task_id="", run_directory=files.path)
    kernel = kind(_KERNEL, grace=Grace(), cwd=str(files.path), env=variables, is_alone=True)
    execution = Execution(
        manager,
        kernel,
        tell=_tell,
        limits=Limits(),
        brake=Brake(),
        meanwhile=manager.notebook_start,
        connected=partial(record, kernel, files.environment),
        settled=partial(_complete, manager),
    )
    return loops.run(execution.execute())


def _prepared(files: RunDirectory, minor: int) -> SavingManager:
    files.input.write_text(json.dumps(_notebook(minor)))
    return SavingManager(prepare.notebook(files, _SPEC), str(files.output), may_wait=True)


def _complete(manager: SavingManager, _outcome: Outcome) -> None:
    manager.notebook_complete()


def _tell(type: EventType, data: Mapping[str, Any]) -> None:
    """To nobody."""
    json.dumps(wire.encode(ReportedEvent(type=type, at=now(), data=data)))


def _notebook(minor: int) -> dict[str, Any]:
    cell: dict[str, Any] = {
        "cell_type": "code",
        "source": "x = 0",
        "metadata": {"tags": ["parameters"]},
        "outputs": [],
        "execution_count": None,
    }
    if minor >= _NEW_MINOR:
        cell["id"] = "rehearsal"
    return {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": minor}
