"""What the steps before have given, read when it is first asked for.

``inputs.json`` in the run directory names the values; small ones are in it, large ones lie in the
run directories of the tasks that gave them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from opspawn_jupyter.client import tables
from opspawn_jupyter.files import is_unchanged
from opspawn_jupyter.model import task_file, wire
from opspawn_jupyter.model.run_directory import RunDirectory
from opspawn_jupyter.model.states import State
from opspawn_jupyter.model.workflow import INPUTS_NAME, Inputs, Upstream, file_value

#: The one output of a step that gives a single value without a name.
RESULT = "result"


def own_run() -> RunDirectory | None:
    """Where this kernel's task keeps its files; None in a notebook that is run by hand."""
    path = os.environ.get("OPSPAWN_RUN_DIRECTORY")
    return RunDirectory(Path(path)) if path else None


class StepOutputs(Mapping[str, Any]):
    """Values of one step by name; each is loaded when it is looked up, and only once."""

    def __init__(self, step: str, upstream: Upstream, root: Path) -> None:
        self._step = step
        self._upstream = upstream
        self._root = root
        self._loaded: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._loaded:
            if name not in self._upstream.outputs:
                raise KeyError(self._missing(name))
            self._loaded[name] = self._load(self._upstream, name)
        return self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._upstream.outputs)

    def __len__(self) -> int:
        return len(self._upstream.outputs)

    def __contains__(self, name: object) -> bool:
        return name in self._upstream.outputs

    def __repr__(self) -> str:
        return f"<outputs of {self._step}: {', '.join(self) or 'none'}>"

    @property
    def tables(self) -> tuple[str, ...]:
        """Names of the outputs that are tables."""
        files = {name: file_value(value) for name, value in self._upstream.outputs.items()}
        return tuple(name for name, file in files.items() if file and file.format == "parquet")

    def _load(self, upstream: Upstream, name: str) -> Any:
        if upstream.items:  # of a for_each: one value from each of its tasks
            return [self._load(item, name) for item in upstream.items if name in item.outputs]
        return loaded(upstream.outputs[name], self._root / (upstream.run_directory or "."))

    def _missing(self, name: str) -> str:
        given = ", ".join(self) or "none"
        state = self._upstream.state.value
        return f"step {self._step!r} ({state}) has no output {name!r}; it gave {given}"


class StepInputs(Mapping[str, StepOutputs]):
    """Everything that comes from upstream, by step id."""

    def __init__(self, run: RunDirectory | None) -> None:
        self.run = run

    def __getitem__(self, step: str) -> StepOutputs:
        if step not in self._record.tasks:
            known = ", ".join(self._record.tasks) or "none"
            message = f"no step {step!r} comes before this one; known: {known}"
            raise KeyError(message)
        return self._outputs[step]

    def __iter__(self) -> Iterator[str]:
        return iter(self._record.tasks)

    def __len__(self) -> int:
        return len(self._record.tasks)

    def value(self, reference: str) -> Any:
        """``step.name`` gives one output, ``step`` what the step gave: its single result, or all
        of its outputs. Raises ``KeyError``."""
        step, name = self.split(reference)
        outputs = self[step]
        if name:
            return outputs[name]
        return outputs[RESULT] if list(outputs) == [RESULT] else outputs

    def has_run(self, reference: str) -> bool:
        """Whether this is a workflow's task, and the step that is meant has given what it can.
        A step that nobody knows has, so that a misspelt name is not passed over."""
        if not self._record.workflow_id:
            return False
        upstream = self._record.tasks.get(self.split(reference)[0])
        return upstream is None or upstream.state is not State.SKIPPED

    def split(self, reference: str) -> tuple[str, str]:
        """Step and output's name; the name is empty where the reference is a step's id."""
        if reference in self:
            return reference, ""
        step, _, name = reference.partition(".")
        return step, name

    @cached_property
    def _record(self) -> Inputs:
        try:
            content = (self.run.path / INPUTS_NAME).read_bytes() if self.run else b""
        except FileNotFoundError:
            content = b""
        if not content:
            return Inputs(workflow_id="", workflow="")
        return _decoded(json.loads(content))

    @cached_property
    def _outputs(self) -> dict[str, StepOutputs]:
        root = _root(self.run) if self.run else Path.cwd()
        return {
            step: StepOutputs(step, upstream, root) for step, upstream in self._record.tasks.items()
        }


def loaded(value: Any, directory: Path) -> Any:
    """The value itself: a table, what a JSON file holds, or the path of any other file.

    ``directory`` is the run directory of the task that gave it. Raises ``FileNotFoundError`` where
    the file is gone, ``ValueError`` where it is not the one that was given.
    """
    file = file_value(value)
    if file is None:
        return value
    path = directory / file.path
    if not path.is_file():
        message = f"{path} is gone; it was removed after the step that gave it had ended"
        raise FileNotFoundError(message)
    if not is_unchanged(path, file.size_bytes, file.sha256):
        message = f"{path} was changed after the step that gave it had ended"
        raise ValueError(message)
    if file.format == "parquet":
        return tables.read(path)
    return json.loads(path.read_bytes()) if file.format == "json" else path


def _decoded(document: Mapping[str, Any]) -> Inputs:
    # wire.decode leaves the values of a mapping as they are.
    tasks = {step: _upstream(one) for step, one in document.get("tasks", {}).items()}
    return wire.decode(Inputs, {**document, "tasks": tasks})


def _upstream(document: Mapping[str, Any]) -> Upstream:
    items = [_upstream(item) for item in document.get("items", ())]
    upstream = wire.decode(Upstream, {**document, "items": ()})
    return Upstream(**{**vars(upstream), "items": tuple(items)})


def _root(run: RunDirectory) -> Path:
    """The server's root, from which paths of run directories start."""
    own = task_file.read(run)["run_directory"]
    return run.path.absolute().parents[len(Path(own).parts) - 1]
