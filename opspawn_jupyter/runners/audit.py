"""Carrying out tasks of kind ``audit``: run, run again in other surroundings, compare, judge."""

from __future__ import annotations

import json
import re
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

from opspawn_jupyter import files
from opspawn_jupyter.audit import comparison, environment, lights, publish, statics, workspace
from opspawn_jupyter.audit.comparison import Executions
from opspawn_jupyter.audit.lights import Found
from opspawn_jupyter.audit.observed import Allowed, Grounds, observed
from opspawn_jupyter.audit.rules import Rules, rules_of
from opspawn_jupyter.audit.statics import Static
from opspawn_jupyter.audit.surroundings import ALL, can_enclose
from opspawn_jupyter.errors import OpspawnError
from opspawn_jupyter.model import audit, wire
from opspawn_jupyter.model.audit import (
    AuditSpec,
    CellVerdict,
    Perturbation,
    Sameness,
    Verdict,
)
from opspawn_jupyter.model.run_directory import RunDirectory
from opspawn_jupyter.model.states import OUTCOME_EVENTS, EventType, State
from opspawn_jupyter.model.work import Assignment, Grace
from opspawn_jupyter.ports import Reporter
from opspawn_jupyter.runners import prepare, problems
from opspawn_jupyter.runners.audit_run import Bench, Executed, telling_cells, telling_kernel
from opspawn_jupyter.runners.brake import Brake

#: How long an audit may take where its policy does not say.
_DEFAULT_SECONDS = 3600.0
#: A further run is begun only where so much of the time is left as the control run took, and this.
_SPARE_SECONDS = 2.0
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
        self.stopped: State | None = None
        self._spec = wire.decode(AuditSpec, assignment.spec)
        self._directory = directory
        self._tell = reporter.tell
        self._brake = Brake()
        limit = assignment.policy.timeout_seconds or _DEFAULT_SECONDS
        self._deadline = time.monotonic() + limit
        self._bench = Bench(
            assignment=assignment,
            spec=self._spec,
            directory=directory,
            grace=grace,
            before={},
        )
        self._runs: list[Executed] = []

    def stop(self, state: State) -> None:
        """End the audit; from another thread."""
        self.stopped = self.stopped or state
        self._brake.pull(state, "The audit was ended.")

    def clear(self) -> None:
        """Remove the copies."""
        shutil.rmtree(self._bench.work, ignore_errors=True)

    def audit(self) -> None:
        """All of it; the verdict lies in the artifacts then, and is told."""
        stored = json.loads(self._directory.input.read_bytes())
        project = self._bench.project
        rules = rules_of(stored, self._place(project), project)
        self._bench = replace(self._bench, before=workspace.digests(project, self._spec.inputs))
        stamps = workspace.stamps(project)
        self._bench.work.mkdir(exist_ok=True)
        # Not beside a run: whatever hangs on this process when a kernel ends is ended with it.
        probed = environment.probe(_python(self._spec))
        self._run_all(stored, rules)
        if self.stopped is None:
            verdict = self._verdict(stored, rules, probed)
            self._publish(_untouched(verdict, project, stamps), stored)

    def _run_all(self, stored: Any, rules: Rules) -> None:
        """The control run, the perturbed one, and those that tell why they differ."""
        control = self._execute("control", ())
        shutil.copyfile(self._bench.runs / "control.ipynb", self._directory.output)
        if control.record.state != State.SUCCESS or not self._has_time():
            return
        perturbed = self._execute("perturbed", self._perturbations(control))
        if not self._has_time() or self.stopped is not None:
            return
        executions = self._executions(stored)
        unexplained = _unstable(comparison.compare(executions, rules))
        if unexplained or perturbed.record.state == State.FAILED:
            self._explain(unexplained, perturbed, rules)

    def _explain(self, unexplained: set[int], perturbed: Executed, rules: Rules) -> None:
        """Run it once more as the control run, then with each change alone, until every cell that
        differs has its cause."""
        has_failed = perturbed.record.state == State.FAILED
        trials: list[tuple[str, tuple[Perturbation, ...]]] = [("repetition", ())]
        trials += [(one.value, (one,)) for one in perturbed.record.perturbed]
        for name, changes in trials:
            if not (unexplained or has_failed) or not self._has_time() or self.stopped:
                return
            trial = self._execute(name, changes)
            differing = self._differing(trial, rules)
            unexplained -= differing
            has_failed = has_failed and trial.record.state != State.FAILED

    def _differing(self, trial: Executed, rules: Rules) -> set[int]:
        control = self._runs[0].notebook
        executions = Executions(stored=control, control=control, perturbed=trial.notebook)
        return _unstable(comparison.compare(executions, rules))

    def _perturbations(self, control: Executed) -> tuple[Perturbation, ...]:
        """All that this machine can make; the network only from what did not use it."""
        used = observed(control.trace, self._grounds(control))
        can_hide = can_enclose() and not used.network
        return tuple(one for one in ALL if one is not Perturbation.NETWORK or can_hide)

    def _grounds(
        self, run: Executed, probed: Any = None, allowed: Allowed | None = None
    ) -> Grounds:
        return Grounds(
            workspace=run.workspace,
            original=self._bench.project,
            environment=probed or {},
            allowed=allowed or Allowed(),
        )

    def _execute(self, name: str, perturbed: tuple[Perturbation, ...]) -> Executed:
        self._say(f"run {len(self._runs) + 1}: {name}")
        is_first = not self._runs
        if not is_first:
            self._brake = Brake()
        if self.stopped is not None:
            self.stop(self.stopped)
        tell = telling_cells(self._tell) if is_first else telling_kernel(self._tell)
        seconds = max(0.1, self._deadline - time.monotonic())
        executed = self._bench.execute(
            name, perturbed, tell=tell, brake=self._brake, seconds=seconds
        )
        self._runs.append(executed)
        return executed

    def _has_time(self) -> bool:
        needed = self._runs[0].record.seconds + _SPARE_SECONDS
        return time.monotonic() + needed < self._deadline

    def _executions(self, stored: Any) -> Executions:
        again = self._runs[1].notebook if len(self._runs) > 1 else None
        return Executions(stored=stored, control=self._runs[0].notebook, perturbed=again)

    def _verdict(self, stored: Any, rules: Rules, probed: Any) -> Verdict:
        self._say("comparing")
        cells = self._with_causes(comparison.compare(self._executions(stored), rules), rules)
        found = self._found(stored, rules, probed, cells)
        lamps = lights.lamps(found)
        return Verdict(
            headline=audit.headline({lamp.light: lamp for lamp in lamps}),
            lamps=lamps,
            notebook=self._spec.notebook,
            source_sha256=self._spec.source_sha256,
            kernel=self._spec.kernel,
            cells=cells,
            runs=tuple(run.record for run in self._runs),
            inputs=tuple(
                self._bench.before[path]
                for path in found.observed.inputs
                if path in self._bench.before
            ),
            products=tuple(self._runs[0].products.values()),
            findings=tuple(found.static.findings),
            limits=_limits(found),
            rules=rules.record(),
            environment={k: v for k, v in probed.items() if k not in ("modules", "standard")},
        )

    def _found(self, stored: Any, rules: Rules, probed: Any, cells: Sequence[CellVerdict]) -> Found:
        control, project = self._runs[0], self._bench.project
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
            runs=[run.record for run in self._runs],
            has_stored_outputs=comparison.has_stored_outputs(stored),
            observed=observed(control.trace, self._grounds(control, probed, rules.allowed)),
            before=self._bench.before,
            is_enclosed=can_enclose(),
        )

    def _with_causes(self, cells: tuple[CellVerdict, ...], rules: Rules) -> tuple[CellVerdict, ...]:
        causes: dict[int, str] = {}
        for trial in self._runs[2:]:
            for index in self._differing(trial, rules):
                causes.setdefault(index, _cause(trial))
        return tuple(
            replace(cell, cause=causes.get(cell.index, ""))
            if cell.again is Sameness.DIFFERENT
            else cell
            for cell in cells
        )

    def _publish(self, verdict: Verdict, stored: Any) -> None:
        again = self._runs[1].notebook if len(self._runs) > 1 else None
        publish.write(self._directory.artifacts, verdict, stored, self._runs[0].notebook, again)
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


def _unstable(cells: Sequence[CellVerdict]) -> set[int]:
    return {cell.index for cell in cells if cell.again is Sameness.DIFFERENT}


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
