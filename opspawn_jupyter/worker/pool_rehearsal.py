"""What a process of the tier ``pool`` does for its first steps, done once before it is forked.

The first step of each process read the metadata of every installed package, imported the plugin and
looked for kernelspecs, which took as long as fifty steps; and Python gets to know code that runs.
Imported by the fork server, after ``runners.preload``, for what it does.
"""

from __future__ import annotations

import gc
import json
import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from opspawn_jupyter.model import wire
from opspawn_jupyter.model.notebook import NotebookSpec, Tier
from opspawn_jupyter.model.policy import Policy
from opspawn_jupyter.model.run_directory import RunPaths
from opspawn_jupyter.model.states import State
from opspawn_jupyter.model.work import Assignment
from opspawn_jupyter.worker.pool_step import Steps
from opspawn_jupyter.worker.step_record import StepRecord

#: After so many Python knows the code.
_STEPS = 20
_CELLS = (
    "config = {}",
    'from opspawn_jupyter.plugins import perform\n\noutputs = perform("python_function", config)',
    'outputs["result"]',
)
_log = logging.getLogger(__name__)


class _Nobody:
    """Hears what the steps tell."""

    def soon(self, lines: bytes) -> None:
        pass

    def now(self, lines: bytes = b"") -> None:
        pass


def rehearse() -> list[StepRecord]:
    """Run small steps as a process of the pool does; what each came to. Leaves nothing."""
    # Not at the top: it imports papermill, which ``runners.preload`` has a way to do.
    from opspawn_jupyter.runners import pool

    steps = Steps("", _Nobody())
    with tempfile.TemporaryDirectory() as place, _as_before():
        try:
            return [_performed(steps, Path(place), number) for number in range(_STEPS)]
        finally:
            pool.forget()


def _performed(steps: Steps, place: Path, number: int) -> StepRecord:
    assignment = _assignment(place, number)
    Path(assignment.run_directory).mkdir()
    Path(RunPaths(assignment.run_directory).input).write_text(json.dumps(_notebook()))
    return steps.carry_out(assignment, begun=lambda _: None)


def _assignment(place: Path, number: int) -> Assignment:
    config = {"function": "operator:add", "args": [number, 1]}
    spec = NotebookSpec(
        notebook=None, parameters={"config": config}, kernel="python3", language="python",
        working_directory=".", source_sha256="", tier=Tier.POOL,
    )  # fmt: skip
    assignment = Assignment(
        task_id=f"rehearsal-{number}", attempt=1, kind="python_function", name="rehearsal",
        spec=wire.encode(spec), policy=Policy(), run_directory=str(place / str(number)),
        root_directory=str(place),
    )  # fmt: skip
    return wire.decode(Assignment, json.loads(json.dumps(wire.encode(assignment))))


def _notebook() -> dict[str, Any]:
    cells: list[dict[str, Any]] = [
        {"cell_type": "code", "id": f"c{number}", "source": source, "metadata": {}, "outputs": [],
         "execution_count": None}
        for number, source in enumerate(_CELLS)
    ]  # fmt: skip
    cells[0]["metadata"]["tags"] = ["parameters"]
    return {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


@contextmanager
def _as_before() -> Iterator[None]:
    """What is of the whole process is left as it was."""
    directory, variables, path = Path.cwd(), dict(os.environ), list(sys.path)
    try:
        yield
    finally:
        os.chdir(directory)
        sys.path[:] = path
        for name in os.environ.keys() - variables.keys():
            del os.environ[name]
        os.environ.update(variables)


def _prepare() -> None:
    try:
        crashes = [one.error for one in rehearse() if one.state is State.CRASHED]
        if crashes:
            _log.error("rehearsal of steps failed error=%r", crashes[0])
    except Exception:  # an environment may lack a kernel or a plugin; steps are only slower then
        _log.exception("rehearsal of steps failed")
    gc.collect()
    gc.freeze()  # as in ``runners.preload``


_prepare()
