"""What a running notebook says to its task: ``from opspawn_jupyter import step``.

Each call publishes one display message of a MIME type of our own. The runner takes it out of the
cell's outputs and makes an event of it. In a notebook that is run by hand nothing is published.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from numbers import Real
from pathlib import Path
from typing import Any, cast

from opspawn_jupyter.client.inputs import StepInputs, own_run
from opspawn_jupyter.client.stored import stored

STEP_MIME = "application/vnd.opspawn.step+json"
_NO_DEFAULT = object()


class Step:
    """The notebook's side of its task. Harmless where the notebook is run by hand."""

    def __init__(self) -> None:
        self._inputs: StepInputs | None = None

    def output(self, name: str, value: Any) -> None:
        """Give a value to whoever waits for the task; the last one of a name counts.

        A table (pandas, polars, pyarrow, DuckDB) is kept as Parquet, a ``pathlib.Path`` stands for
        the file there, and JSON of more than 64 kB goes into a file as well. Raises ``TypeError``
        or ``ValueError`` for a value that JSON cannot hold, ``FileNotFoundError`` for a path
        without a file.
        """
        _require_name(name)
        _publish({"output": {"name": name, "value": stored(name, value, own_run())}})

    def input(self, reference: str, default: Any = _NO_DEFAULT) -> Any:
        """A value that an earlier step of the workflow gave: ``step.input("ingest.rows")``; without
        a name all of that step's values. Tables come as tables, files as paths.

        Raises ``KeyError`` where there is none. ``default`` is what the notebook works with when
        it is run by hand, or when that step was skipped.
        """
        inputs = self.inputs
        if default is not _NO_DEFAULT and not inputs.has_run(reference):
            return default
        return inputs.value(reference)

    @property
    def inputs(self) -> StepInputs:
        """Everything that the steps before this one gave, by step id."""
        run = own_run()
        if self._inputs is None or self._inputs.run != run:
            self._inputs = StepInputs(run)
        return self._inputs

    def progress(self, fraction: float, text: str = "") -> None:
        """Say how far the notebook is: from 0.0 to 1.0, with a word on what it does now."""
        _publish({"progress": {"fraction": _fraction(fraction), "text": str(text)}})

    def log(self, text: str) -> None:
        """Add a line to the task's log."""
        _publish({"log": {"text": str(text)}})

    def artifact(self, name: str) -> Path:
        """The path at which to leave a file with the task; its directory is there.

        By hand: a path in the current directory.
        """
        _require_name(name)
        run_directory = os.environ.get("OPSPAWN_RUN_DIRECTORY")
        base = Path(run_directory, "artifacts") if run_directory else Path.cwd()
        path = Path(os.path.normpath(base / name))
        if path == base or not path.is_relative_to(base):
            message = f"an artifact lies inside the task's artifacts, not at {name!r}"
            raise ValueError(message)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def __repr__(self) -> str:
        task_id = os.environ.get("OPSPAWN_TASK_ID")
        return f"<step of task {task_id}>" if task_id else "<step, run by hand>"


def _require_name(name: object) -> None:
    if not isinstance(name, str) or not name.strip():
        message = f"a name is a string that is not empty, not {name!r}"
        raise ValueError(message)


def _fraction(value: object) -> float:
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if is_number and 0 <= (fraction := float(cast("Real", value))) <= 1:
        return fraction
    message = f"progress takes a number from 0.0 to 1.0, not {value!r}"
    raise ValueError(message)


_taker: Callable[[Mapping[str, Any]], None] | None = None


def take_messages(taker: Callable[[Mapping[str, Any]], None] | None) -> None:
    """Have ``taker`` given what steps say in this process, which is no kernel; None ends it."""
    global _taker  # noqa: PLW0603  (there is one process, and one step at a time in it)
    _taker = taker


def _publish(message: dict[str, Any]) -> None:
    if not os.environ.get("OPSPAWN_TASK_ID"):
        return
    if _taker is not None:
        _taker(message)
        return
    # Only a kernel has somewhere to publish to; scripts that a cell starts do not.
    from IPython.core.getipython import get_ipython

    shell = get_ipython()
    if shell is not None:
        shell.display_pub.publish({STEP_MIME: message})


step = Step()
