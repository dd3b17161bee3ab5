"""One execution of an audited notebook: a copy of its project, a clean kernel, an observer."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from opspawn_jupyter import files
from opspawn_jupyter.audit import surroundings, workspace
from opspawn_jupyter.audit.surroundings import Places
from opspawn_jupyter.model import executed_notebook
from opspawn_jupyter.model.audit import AuditSpec, FileRecord, Perturbation, RunRecord
from opspawn_jupyter.model.notebook import NotebookSpec
from opspawn_jupyter.model.run_directory import RunDirectory
from opspawn_jupyter.model.states import CellState, EventType
from opspawn_jupyter.model.work import Assignment, Grace
from opspawn_jupyter.runners import prepare, sockets
from opspawn_jupyter.runners.brake import Brake
from opspawn_jupyter.runners.engine import Execution, Limits, Outcome
from opspawn_jupyter.runners.kernel import Kernel
from opspawn_jupyter.runners.kernel_variables import kernel_environment
from opspawn_jupyter.runners.outputs import Tell
from opspawn_jupyter.runners.saving import SavingManager

#: A run that is to end gets this much to obey before it is killed: an audit holds its limit.
_GRACE_SECONDS = 1.0


class Company(Enum):
    """What else this process runs meanwhile."""

    NONE = "none"
    #: Another run, which comes second.
    FIRST = "first"
    SECOND = "second"


@dataclass(frozen=True, kw_only=True)
class Executed:
    """What one run left."""

    record: RunRecord
    notebook: Mapping[str, Any]
    trace: Path
    workspace: Path
    #: Files that it made or changed, by path from the project.
    products: Mapping[str, FileRecord] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Bench:
    """What all runs of one audit have in common."""

    assignment: Assignment
    spec: AuditSpec
    directory: RunDirectory
    grace: Grace

    @property
    def root(self) -> Path:
        """The server's root."""
        return Path(self.assignment.root_directory)

    @property
    def project(self) -> Path:
        """The original."""
        return (self.root / self.spec.project).resolve()

    @property
    def work(self) -> Path:
        """Where copies lie; removed at the end."""
        return self.directory.path.resolve() / "work"

    @property
    def runs(self) -> Path:
        """Where executed notebooks stay."""
        return self.directory.artifacts / "runs"

    def ready(
        self, name: str, perturbed: tuple[Perturbation, ...], company: Company = Company.NONE
    ) -> Ready:
        """All that is needed to run the notebook once. Called in the main thread, which papermill
        wants. Raises one of ``prepare.CANNOT_PREPARE``."""
        places = self._places(name, perturbed)
        places.trace.unlink(missing_ok=True)
        copied_at = workspace.copy(self.project, places.workspace, self.spec.inputs)
        target = self.runs / f"{name.replace(' ', '-')}.ipynb"
        target.parent.mkdir(parents=True, exist_ok=True)
        return Ready(
            bench=self,
            name=name,
            perturbed=perturbed,
            places=places,
            copied_at=copied_at,
            kernel=self._kernel(places, perturbed, company),
            manager=SavingManager(prepare.notebook(self.directory, self._notebook()), str(target)),
            target=target,
        )

    def _places(self, name: str, perturbed: tuple[Perturbation, ...]) -> Places:
        is_elsewhere = Perturbation.DIRECTORY in perturbed
        top = self.work / name.replace(" ", "-")
        return Places(
            workspace=top / ("another-directory" if is_elsewhere else "project"),
            trace=self.work / f"{name.replace(' ', '-')}.jsonl",
            temporary=sockets.private_directory(),
            protected=self.project,
            allowed=self.directory.path.resolve(),
        )

    def _kernel(
        self, places: Places, perturbed: tuple[Perturbation, ...], company: Company
    ) -> Kernel:
        scratch = RunDirectory(places.workspace.parent / "run")
        scratch.artifacts.mkdir(parents=True, exist_ok=True)
        relative = (self.root / self.spec.working_directory).resolve().relative_to(self.project)
        (places.workspace / relative).mkdir(parents=True, exist_ok=True)
        base = kernel_environment(
            os.environ, task_id=self.assignment.task_id, run_directory=scratch.path
        )
        return Kernel(
            self.spec.kernel,
            grace=self._short_grace,
            cwd=str(places.workspace / relative),
            env={**base, **surroundings.variables(places, perturbed)},
            is_alone=company is Company.NONE,
            prefix=surroundings.prefix(places, perturbed, is_humble=company is Company.SECOND),
        )

    @property
    def _short_grace(self) -> Grace:
        return Grace(
            interrupt_seconds=min(_GRACE_SECONDS, self.grace.interrupt_seconds),
            terminate_seconds=min(_GRACE_SECONDS, self.grace.terminate_seconds),
            kernel_start_seconds=self.grace.kernel_start_seconds,
        )

    def limits(self, seconds: float) -> Limits:
        """What a run may take."""
        return Limits(
            run_seconds=seconds,
            cell_seconds=self.assignment.policy.cell_timeout_seconds,
            grace=self._short_grace,
            outputs=self.assignment.output_limits,
        )

    def _notebook(self) -> NotebookSpec:
        return NotebookSpec(
            notebook=self.spec.notebook,
            parameters={},
            kernel=self.spec.kernel,
            language=self.spec.language,
            working_directory=self.spec.working_directory,
            source_sha256=self.spec.source_sha256,
        )


@dataclass(frozen=True, kw_only=True)
class Ready:
    """One execution that can begin."""

    bench: Bench
    name: str
    perturbed: tuple[Perturbation, ...]
    places: Places
    #: When the copy of the project was done.
    copied_at: int
    kernel: Kernel
    manager: SavingManager
    target: Path

    def run(self, *, tell: Tell, brake: Brake, seconds: float) -> Executed:
        """Run the notebook once; in any thread."""
        started = time.monotonic()
        try:
            outcome, notebook = self._run(tell, brake, seconds)
        finally:
            shutil.rmtree(self.places.temporary, ignore_errors=True)
        taken = time.monotonic() - started
        return Executed(
            record=_record(self.name, self.perturbed, outcome, taken, notebook),
            notebook=notebook,
            trace=self.places.trace,
            workspace=self.places.workspace,
            products=workspace.changed(self.places.workspace, self.copied_at),
        )

    def _run(self, tell: Tell, brake: Brake, seconds: float) -> tuple[Outcome, Mapping[str, Any]]:
        self.manager.notebook_start()
        limits = self.bench.limits(seconds)
        execution = Execution(self.manager, self.kernel, tell=tell, brake=brake, limits=limits)
        outcome = execution.run()
        self.manager.notebook_complete()
        return outcome, _portable(self.bench.spec.notebook, self.target)


def telling_cells(tell: Tell) -> Tell:
    """Passes on how the kernel and its cells get on, not what the notebook says of itself: its
    outputs are no outputs of the audit."""

    def told(kind: EventType, data: Mapping[str, Any]) -> None:
        if kind not in (EventType.STEP_OUTPUT, EventType.STEP_PROGRESS, EventType.STEP_LOG):
            tell(kind, data)

    return told


def telling_kernel(tell: Tell) -> Tell:
    """Passes on only that a kernel was started, so that the worker can end it."""

    def told(kind: EventType, data: Mapping[str, Any]) -> None:
        if kind is EventType.KERNEL_STARTED:
            tell(kind, data)

    return told


def _portable(source: str, target: Path) -> Mapping[str, Any]:
    """The executed notebook without paths of this machine, in the file and in the hand."""
    plain: dict[str, Any] = json.loads(target.read_bytes())
    papermill = plain["metadata"].setdefault("papermill", {})
    papermill.update(input_path=source, output_path=target.name)
    files.write_json(target, plain)
    return plain


def _record(
    name: str,
    perturbed: tuple[Perturbation, ...],
    outcome: Outcome,
    seconds: float,
    notebook: Mapping[str, Any],
) -> RunRecord:
    states = [
        cell["metadata"]["opspawn"]["state"]
        for _, cell in executed_notebook.code_cells(notebook)
        if executed_notebook.runs({**cell, "source": "".join(cell["source"])})
    ]
    problem = outcome.problem
    said = f"{problem.name}: {problem.message}" if problem is not None else ""
    return RunRecord(
        name=name,
        perturbed=perturbed,
        state=outcome.state.value,
        seconds=round(seconds, 3),
        cells_run=states.count(CellState.SUCCESS),
        cells_total=len(states),
        problem=" ".join(said.split())[:500],
    )
