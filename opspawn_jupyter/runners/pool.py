"""Steps that share a process: many small Python functions of one workflow, one after another.

A kernel of its own costs a step a hundred times what a small function takes. In the tier ``pool``
the step's notebook runs as plain Python in a process that runs other steps of the same workflow,
too. All that a step leaves is there as ever: the executed notebook, outputs, events, environment.
"""

from __future__ import annotations

import os
import platform
import threading
import time
from collections.abc import Mapping
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from papermill.translators import PythonTranslator

from opspawn_jupyter import files
from opspawn_jupyter.client import running
from opspawn_jupyter.model import executed_notebook, wire
from opspawn_jupyter.model.clock import now
from opspawn_jupyter.model.notebook import NotebookSpec
from opspawn_jupyter.model.run_directory import RunDirectory, RunPaths
from opspawn_jupyter.model.states import CellState, EventType
from opspawn_jupyter.model.task import Problem
from opspawn_jupyter.model.work import Assignment
from opspawn_jupyter.runners import environment, kernelspecs, prepare, problems
from opspawn_jupyter.runners.form import Form
from opspawn_jupyter.runners.outputs import Outputs, Tell, bounded_progress
from opspawn_jupyter.runners.plain_cells import PlainCells, is_clean_exit
from opspawn_jupyter.runners.variables import Variables

#: Values, of 64 kB at most, that are told in one event.
_MOST_OUTPUTS = 16
_has_black = find_spec("black") is not None
_variables = Variables()
#: Most cells are those of the step before.
_title = lru_cache(maxsize=64)(executed_notebook.title)


def perform(assignment: Assignment, run: RunPaths, tell: Tell) -> None:
    """Run the step from what follows its start to its outcome."""
    spec = wire.decode(NotebookSpec, assignment.spec)
    try:
        _make_artifacts(run)
        form = _form(assignment, spec)
        notebook = _notebook(form, run, spec)
        os.chdir(os.path.join(assignment.root_directory, spec.working_directory))  # noqa: PTH118
        _variables.enter(assignment)
        _record_environment(run, spec)
    except prepare.CANNOT_PREPARE as failure:
        tell(EventType.FAILED, {"error": wire.encode(problems.unexpected(failure))})
        return
    step = _Step(notebook, assignment, tell)
    running.take_messages(step.say)
    try:
        problem = step.run()
    finally:
        running.take_messages(None)
    outcome = EventType.SUCCEEDED if problem is None else EventType.FAILED
    try:
        files.write_atomic(run.output, form.serialised(notebook))
    except OSError as failure:  # what has run has run
        outcome, problem = EventType.CRASHED, problems.unexpected(failure)
    step.conclude(outcome, problem)


def _be_forked() -> None:
    """What a fork of a step's says goes nowhere, as that of a kernel's: the events are numbered
    here."""
    running.take_messages(None)


os.register_at_fork(after_in_child=_be_forked)


class _Step:
    """One of them, which may speak from several threads."""

    def __init__(self, notebook: dict[str, Any], assignment: Assignment, tell: Tell) -> None:
        self._notebook = notebook
        self._cells = PlainCells(assignment.output_limits.cell_bytes)
        self._outputs = Outputs(tell)
        self._tell = tell
        self._began = now()
        #: Held by whoever tells something.
        self._lock = threading.RLock()
        self._is_over = False
        #: Values that it gave and that were not told yet.
        self._values: dict[str, Any] = {}

    def say(self, message: Mapping[str, Any]) -> None:
        """A message of the step API. Values are told with the outcome, or with the next sign of
        life."""
        with self._lock:
            if not self._is_over:
                self._say(message)

    def _say(self, message: Mapping[str, Any]) -> None:
        if "output" in message:
            self._values[message["output"]["name"]] = message["output"]["value"]
            if len(self._values) >= _MOST_OUTPUTS:
                self._tell_outputs()
            return
        self._tell_outputs()
        if "progress" in message:
            self._tell(EventType.STEP_PROGRESS, bounded_progress(message["progress"]))
        else:
            self._outputs.step(message)

    def _tell_outputs(self) -> None:
        values, self._values = self._values, {}
        for name, value in values.items():
            self._tell(EventType.STEP_OUTPUT, {"name": name, "value": value})

    def conclude(self, outcome: EventType, problem: Problem | None) -> None:
        """Tell how it ended, and all that is untold, in one event: a step that takes a millisecond
        is looked at when it is over."""
        error = {} if problem is None else {"error": wire.encode(problem)}
        with self._lock:
            self._is_over = True
            self._tell(outcome, {"cells": self.cells(), "outputs": self._values, **error})

    def run(self) -> Problem | None:
        """Run the cells; why the step failed, where it did."""
        count, has_ended = 0, False
        problem: Problem | None = None
        for index, cell in executed_notebook.code_cells(self._notebook):
            if has_ended or not executed_notebook.runs(cell):
                executed_notebook.set_state(cell, CellState.NOT_RUN, None)
                continue
            count += 1
            raised = self._run(cell, index, count)
            has_ended = raised is not None
            if raised is not None and not is_clean_exit(raised):
                problem = problems.shown(cell["outputs"][-1], index)
        self._settle(problem)
        return problem

    def _run(self, cell: dict[str, Any], index: int, count: int) -> BaseException | None:
        began, clock = now(), time.perf_counter()
        outputs, raised = self._cells.run(cell["source"], count)
        seconds = round(time.perf_counter() - clock, 6)
        cell["outputs"], cell["execution_count"] = outputs, count
        cell["metadata"]["papermill"] = {
            "start_time": began.isoformat(),
            "end_time": now().isoformat(),
            "duration": seconds,
        }
        is_good = raised is None or is_clean_exit(raised)
        state = CellState.SUCCESS if is_good else CellState.FAILED
        executed_notebook.set_state(cell, state, seconds)
        with self._lock:
            for output in outputs:
                self._outputs.show(index, output)
        return raised

    def cells(self) -> list[dict[str, Any]]:
        """What became of each code cell."""
        return [
            {
                "index": index,
                "id": cell.get("id"),
                "title": _title(cell["source"]),
                "execution_count": cell["execution_count"],
                **cell["metadata"]["opspawn"],
            }
            for index, cell in executed_notebook.code_cells(self._notebook)
        ]

    def _settle(self, problem: Problem | None) -> None:
        papermill = self._notebook["metadata"]["papermill"]
        ended = now()
        papermill["start_time"] = self._began.isoformat()
        papermill["end_time"] = ended.isoformat()
        papermill["duration"] = (ended - self._began).total_seconds()
        papermill["exception"] = True if problem is not None else None


#: By source and kernel, and whether there are parameters to put in.
_forms: dict[tuple[str, str, bool], Form] = {}
#: Where ``environment.json`` of a kernel was written first; the others are the same file.
_environments: dict[str, str] = {}


#: The artifacts of the last step, which may have left none.
_last_artifacts: list[str] = []


def forget() -> None:
    """Nothing of the steps before is there any more."""
    _forms.clear()
    _environments.clear()
    _last_artifacts.clear()


def _make_artifacts(run: RunPaths) -> None:
    """Have the directory there. One that the last step left empty is moved: to make one takes ten
    times as long."""
    last = _last_artifacts.pop() if _last_artifacts else None
    _last_artifacts.append(run.artifacts)
    try:
        if last is not None and not os.listdir(last):  # noqa: PTH208  paths are slow
            os.rename(last, run.artifacts)  # noqa: PTH104  as above
            return
    except OSError:
        pass  # it was removed, or lies on another disk, or this attempt is not the first
    os.makedirs(run.artifacts, exist_ok=True)  # noqa: PTH103  as above


def _form(assignment: Assignment, spec: NotebookSpec) -> Form:
    name = (spec.source_sha256, spec.kernel, bool(spec.parameters))
    if name not in _forms:
        run = RunDirectory(Path(assignment.run_directory))
        _forms[name] = Form(prepare.notebook(run, spec))
    return _forms[name]


def _notebook(form: Form, run: RunPaths, spec: NotebookSpec) -> dict[str, Any]:
    """What is run: as ``prepare.notebook`` makes it, with this step's parameters."""
    parameters = dict(spec.parameters)
    notebook = form.copy(parameters, _codified(parameters))
    papermill = notebook["metadata"]["papermill"]
    papermill["input_path"], papermill["output_path"] = run.input, run.output
    return notebook


def _codified(parameters: Mapping[str, Any]) -> str:
    """The cell that papermill writes. It looks for ``black`` each time, which takes longer."""
    if _has_black:
        return str(PythonTranslator.codify(parameters, "Parameters"))
    return str(super(PythonTranslator, PythonTranslator).codify(parameters, "Parameters"))


def _record_environment(run: RunPaths, spec: NotebookSpec) -> None:
    first, own = _environments.get(spec.kernel), run.environment
    try:
        if first is not None:
            os.link(first, own)
            return
    except OSError:
        Path(own).unlink(missing_ok=True)  # an earlier attempt's; or the first is gone, or far
    _environments[spec.kernel] = own
    kernel = kernelspecs.find(spec.kernel)
    facts = {
        "name": spec.kernel,
        "display_name": kernel.display_name,
        "language": kernel.language,
        "language_version": platform.python_version(),
        "implementation": "none",
        "implementation_version": None,
        "argv": list(kernel.argv),
    }
    files.write_json(own, environment.describe(facts))
