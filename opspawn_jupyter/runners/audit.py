"""Carrying out tasks of kind ``audit``: run, run again in other surroundings, compare, judge."""

from __future__ import annotations

import json
import re
import shutil
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

from opspawn_jupyter import files
from opspawn_jupyter.audit import (
    comparison,
    environment,
    lights,
    publish,
    statics,
    surroundings,
    workspace,
)
from opspawn_jupyter.audit.lights import Found
from opspawn_jupyter.audit.observed import observed
from opspawn_jupyter.audit.rules import Rules, rules_of
from opspawn_jupyter.audit.statics import Static
from opspawn_jupyter.errors import OpspawnError
from opspawn_jupyter.model import audit, wire
from opspawn_jupyter.model.audit import (
    AuditSpec,
    CellVerdict,
    FileRecord,
    Sameness,
    Verdict,
)
from opspawn_jupyter.model.run_directory import RunDirectory
from opspawn_jupyter.model.states import OUTCOME_EVENTS, EventType, State
from opspawn_jupyter.model.work import Assignment, Grace
from opspawn_jupyter.ports import Reporter
from opspawn_jupyter.runners import prepare, problems
from opspawn_jupyter.runners.audit_run import Bench, Executed
from opspawn_jupyter.runners.audit_runs import Runs

#: How long an audit may take where its policy does not say.
_DEFAULT_SECONDS = 3600.0
_PLAIN_PYTHON = re.compile(r"python[\d.]*")


class AuditRunner:
    """Audits the pinned notebook."""

    def __init__(self, grace: Grace) -> None:
        self._grace = grace

    def run(self, assignment: Assignment, directory: Path, reporter: Reporter) -> None:
        """See ``ports.Runner``."""
        session = _Session(assignment, RunDirectory(directory), reporter, self._grace)
        reporter.on_stop(session.stop)
        try:
            session.audit()
        except (*prepare.CANNOT_PREPARE, OpspawnError) as failure:
            problem = wire.encode(problems.unexpected(failure))
            reporter.tell(EventType.FAILED, {"error": problem})
            return
        finally:
            session.clear()
        if session.stopped is not None:
            reporter.tell(OUTCOME_EVENTS[session.stopped], {})
        else:
            reporter.tell(EventType.SUCCEEDED, {})


class _Session:
    """One audit, from its first run to its report."""

    def __init__(
        self, assignment: Assignment, directory: RunDirectory, reporter: Reporter, grace: Grace
    ) -> None:
        self._spec = wire.decode(AuditSpec, assignment.spec)
        self._directory = directory
        self._tell = reporter.tell
        limit = assignment.policy.timeout_seconds or _DEFAULT_SECONDS
        self._bench = Bench(
            assignment=assignment, spec=self._spec, directory=directory, grace=grace
        )
        self._runs = Runs(self._bench, self._tell, time.monotonic() + limit)

    @property
    def stopped(self) -> State | None:
        """The outcome that somebody asked for."""
        return self._runs.stopped

    def stop(self, state: State) -> None:
        """End the audit; from another thread."""
        self._runs.stop(state)

    def clear(self) -> None:
        """Remove the copies."""
        shutil.rmtree(self._bench.work, ignore_errors=True)

    def audit(self) -> None:
        """All of it; the verdict lies in the artifacts then, and is told."""
        stored = json.loads(self._directory.input.read_bytes())
        project = self._bench.project
        rules = rules_of(stored, self._place(project), project)
        stamps = workspace.stamps(project)
        self._bench.work.mkdir(exist_ok=True)
        # Not beside a run: whatever hangs on this process when a run has ended is ended with it.
        with ThreadPoolExecutor(1) as pool:
            probing = pool.submit(environment.probe, _python(self._spec))
            surroundings.can_enclose()  # starts a process as well, and is remembered
            probed = probing.result()
        self._runs.make(stored, rules)
        shutil.copyfile(self._bench.runs / "control.ipynb", self._directory.output)
        if self.stopped is None:
            verdict = self._verdict(stored, rules, probed)
            self._publish(_untouched(verdict, project, stamps), stored)

    def _verdict(self, stored: Any, rules: Rules, probed: Any) -> Verdict:
        self._say("comparing")
        executions = self._runs.executions(stored)
        cells = self._with_causes(comparison.compare(executions, rules), rules)
        found = self._found(stored, rules, probed, cells)
        lamps = lights.lamps(found)
        return Verdict(
            headline=audit.headline({lamp.light: lamp for lamp in lamps}),
            lamps=lamps,
            notebook=self._spec.notebook,
            source_sha256=self._spec.source_sha256,
            kernel=self._spec.kernel,
            cells=cells,
            runs=tuple(run.record for run in self._runs.executed),
            inputs=self._inputs(found),
            products=tuple(self._runs.control.products.values()),
            findings=tuple(found.static.findings),
            limits=_limits(found),
            rules=rules.record(),
            environment={k: v for k, v in probed.items() if k not in ("modules", "standard")},
        )

    def _inputs(self, found: Found) -> tuple[FileRecord, ...]:
        """The files of the original that the control run read."""
        project = self._bench.project
        paths = [project / path for path in found.observed.inputs]
        return tuple(workspace.record(path, project) for path in paths if path.is_file())

    def _found(self, stored: Any, rules: Rules, probed: Any, cells: Sequence[CellVerdict]) -> Found:
        control, project = self._runs.control, self._bench.project
        grounds = replace(self._runs.grounds(control), environment=probed, allowed=rules.allowed)
        directory = (self._bench.root / self._spec.working_directory).resolve()
        return Found(
            static=_static(stored, self._spec.language),
            language=self._spec.language,
            environment=probed,
            stated=environment.declared(project, directory),
            project=project,
            directory=directory,
            inputs=self._spec.inputs,
            cells=cells,
            runs=[run.record for run in self._runs.executed],
            has_stored_outputs=comparison.has_stored_outputs(stored),
            observed=observed(control.trace, grounds),
            is_enclosed=surroundings.can_enclose(),
        )

    def _with_causes(self, cells: tuple[CellVerdict, ...], rules: Rules) -> tuple[CellVerdict, ...]:
        causes: dict[int, str] = {}
        for trial in self._runs.trials:
            for index in self._runs.differing(trial, rules):
                causes.setdefault(index, _cause(trial))
        return tuple(
            replace(cell, cause=causes.get(cell.index, ""))
            if cell.again is Sameness.DIFFERENT
            else cell
            for cell in cells
        )

    def _publish(self, verdict: Verdict, stored: Any) -> None:
        again = self._runs.perturbed.notebook if self._runs.perturbed else None
        control = self._runs.control.notebook
        publish.write(self._directory.artifacts, verdict, stored, control, again)
        environment_file = dict(verdict.environment)
        files.write_json(self._directory.environment, environment_file)
        answers = {lamp.light.value: lamp.answer.value for lamp in verdict.lamps}
        reasons = {lamp.light.value: lamp.reason for lamp in verdict.lamps}
        for name, value in (
            ("headline", verdict.headline.value),
            ("lights", answers),
            ("reasons", reasons),
            ("different", [c.index for c in verdict.cells if c.stored is Sameness.DIFFERENT]),
        ):
            self._tell(EventType.STEP_OUTPUT, {"name": name, "value": value})

    def _place(self, project: Path) -> Path:
        """Where the notebook counts as lying, for rules that go by paths."""
        directory = (self._bench.root / self._spec.working_directory).resolve()
        name = Path(self._spec.notebook).name
        return (directory if directory.is_relative_to(project) else project) / name

    def _say(self, text: str) -> None:
        self._tell(EventType.STEP_PROGRESS, {"fraction": None, "text": text})


def _cause(trial: Executed) -> str:
    if not trial.record.perturbed:
        return "differs in the same surroundings too: random numbers, the clock or threads"
    return f"depends on the {trial.record.perturbed[0].value}"


def _static(stored: Any, language: str) -> Static:
    return statics.read(stored) if language == "python" else Static()


def _python(spec: AuditSpec) -> str | None:
    """The interpreter of the kernel; None for another language."""
    if spec.language != "python":
        return None
    try:
        program = str(KernelSpecManager().get_kernel_spec(spec.kernel).argv[0])
    except NoSuchKernel:
        return None
    # jupyter_client takes the Python that it runs in where a kernelspec says just "python".
    return sys.executable if _PLAIN_PYTHON.fullmatch(program) else program


def _limits(found: Found) -> tuple[str, ...]:
    """What this audit could not see."""
    said = ["files that native libraries open by themselves are not seen"]
    if not found.is_enclosed:
        said.append("this system has no namespaces for users: no run was cut off from the network")
    if any(cell.stored is Sameness.NOT_COMPARED for cell in found.cells):
        said.append("some cells' outputs were not compared; the table of cells says which")
    return tuple(said)


def _untouched(verdict: Verdict, project: Path, before: dict[str, tuple[int, int]]) -> Verdict:
    """The verdict, saying so where somebody changed the original meanwhile."""
    after = workspace.stamps(project)
    changed = sorted(path for path in {*before, *after} if before.get(path) != after.get(path))
    if not changed:
        return verdict
    note = f"the original directory was changed during the audit: {', '.join(changed[:5])}"
    return replace(verdict, limits=(*verdict.limits, note))
