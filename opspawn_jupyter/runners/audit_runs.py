"""The runs of one audit: the control run and the perturbed one beside each other, and those that
tell why they differ.

A kernel waits more than it computes, and a machine has several processors: two runs at once take
little longer than one. What goes wrong in company is made again alone before it is believed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from opspawn_jupyter.audit import comparison
from opspawn_jupyter.audit.comparison import Executions
from opspawn_jupyter.audit.observed import Grounds, observed
from opspawn_jupyter.audit.rules import Rules
from opspawn_jupyter.audit.surroundings import ALL, can_enclose
from opspawn_jupyter.model.audit import CellVerdict, Perturbation, Sameness
from opspawn_jupyter.model.states import EventType, State
from opspawn_jupyter.runners import processes
from opspawn_jupyter.runners.audit_run import (
    Bench,
    Company,
    Executed,
    telling_cells,
    telling_kernel,
)
from opspawn_jupyter.runners.brake import Brake
from opspawn_jupyter.runners.outputs import Tell

#: A further run is begun only where so much of the time is left as the control run took, and this.
_SPARE_SECONDS = 2.0
_CONTROL, _PERTURBED = "control", "perturbed"


class Runs:
    """What was run so far; the control run is the first, the perturbed one the second."""

    def __init__(self, bench: Bench, tell: Tell, deadline: float) -> None:
        self.executed: list[Executed] = []
        self.stopped: State | None = None
        self._bench = bench
        self._tell = tell
        self._deadline = deadline
        self._brakes: list[Brake] = []

    def stop(self, state: State) -> None:
        """End what runs, and begin nothing more; from another thread."""
        self.stopped = self.stopped or state
        for brake in list(self._brakes):
            brake.pull(state, "The audit was ended.")

    @property
    def control(self) -> Executed:
        """The run in plain surroundings."""
        return self.executed[0]

    @property
    def perturbed(self) -> Executed | None:
        """The run in other surroundings; None where there was none."""
        return self.executed[1] if len(self.executed) > 1 else None

    @property
    def trials(self) -> Sequence[Executed]:
        """The runs that tell why the first two differ."""
        return self.executed[2:]

    def executions(self, stored: Any) -> Executions:
        """What is to be compared."""
        again = self.perturbed.notebook if self.perturbed else None
        return Executions(stored=stored, control=self.control.notebook, perturbed=again)

    def grounds(self, run: Executed) -> Grounds:
        """Where the run may move freely, as long as nothing is known of its environment."""
        return Grounds(workspace=run.workspace, original=self._bench.project, environment={})

    def make(self, stored: Any, rules: Rules) -> None:
        """All that are needed, as far as the time goes."""
        control, perturbed = self._together()
        if control.record.state == State.CRASHED and self._may_go_on(control):
            control, perturbed = self._alone(_CONTROL, ()), None
        self.executed = [control]
        if control.record.state != State.SUCCESS or self.stopped is not None:
            return
        perturbed = self._settled(control, perturbed, stored, rules)
        if perturbed is None:
            return
        self.executed = [control, perturbed]
        unexplained = _unstable(comparison.compare(self.executions(stored), rules))
        if unexplained or perturbed.record.state == State.FAILED:
            self._explain(unexplained, perturbed, rules)

    def differing(self, trial: Executed, rules: Rules) -> set[int]:
        """The cells in which a run differs from the control run."""
        control = self.control.notebook
        executions = Executions(stored=control, control=control, perturbed=trial.notebook)
        return _unstable(comparison.compare(executions, rules))

    def _together(self) -> tuple[Executed, Executed | None]:
        """Both first runs at once. The second counts for nothing where the first fails."""
        self._say("control and perturbed run")
        first = self._bench.ready(_CONTROL, (), Company.FIRST)
        tells = telling_cells(self._tell), telling_kernel(self._tell)
        brakes = self._brakes = [Brake(), Brake()]
        self._obey()
        with ThreadPoolExecutor(2) as pool:
            running = pool.submit(first.run, tell=tells[0], brake=brakes[0], seconds=self._left)
            second = self._bench.ready(_PERTURBED, _changes(True), Company.SECOND)
            beside = pool.submit(second.run, tell=tells[1], brake=brakes[1], seconds=self._left)
            control = running.result()
            if control.record.state != State.SUCCESS:
                brakes[1].pull(State.CANCELLED, "The control run did not end well.")
            perturbed = beside.result()
        # Whatever hangs on this process now came from one of the two kernels.
        processes.kill(processes.descendants(os.getpid()))
        if control.record.state != State.SUCCESS:
            second.target.unlink(missing_ok=True)
            return control, None
        return control, perturbed

    def _settled(
        self, control: Executed, perturbed: Executed | None, stored: Any, rules: Rules
    ) -> Executed | None:
        """The perturbed run, made again alone where company, or a network that the notebook uses,
        may be all that is wrong with it. None where there is no time for one."""
        uses_network = bool(observed(control.trace, self.grounds(control)).network)
        is_good = perturbed is not None and perturbed.record.state == State.SUCCESS
        if perturbed is not None and is_good:
            pair = Executions(stored=stored, control=control.notebook, perturbed=perturbed.notebook)
            if not (uses_network and _unstable(comparison.compare(pair, rules))):
                return perturbed
        if not self._may_go_on(control):
            return perturbed
        return self._alone(_PERTURBED, _changes(not uses_network))

    def _explain(self, unexplained: set[int], perturbed: Executed, rules: Rules) -> None:
        """Run it once more as the control run, then with each change alone, until every cell that
        differs has its cause."""
        has_failed = perturbed.record.state == State.FAILED
        trials: list[tuple[str, tuple[Perturbation, ...]]] = [("repetition", ())]
        trials += [(one.value, (one,)) for one in perturbed.record.perturbed]
        for name, changes in trials:
            if not (unexplained or has_failed) or not self._may_go_on(self.control):
                return
            trial = self._alone(name, changes)
            self.executed.append(trial)
            differing = self.differing(trial, rules)
            unexplained -= differing
            has_failed = has_failed and trial.record.state != State.FAILED

    def _alone(self, name: str, changes: tuple[Perturbation, ...]) -> Executed:
        self._say(f"run: {name}")
        ready = self._bench.ready(name, changes)
        self._brakes = [Brake()]
        self._obey()
        tell = telling_kernel(self._tell)
        return ready.run(tell=tell, brake=self._brakes[0], seconds=self._left)

    def _obey(self) -> None:
        """A stop that came between two runs holds for the next."""
        if self.stopped is not None:
            self.stop(self.stopped)

    def _may_go_on(self, control: Executed) -> bool:
        needed = control.record.seconds + _SPARE_SECONDS
        return self.stopped is None and time.monotonic() + needed < self._deadline

    @property
    def _left(self) -> float:
        return max(0.1, self._deadline - time.monotonic())

    def _say(self, text: str) -> None:
        self._tell(EventType.STEP_PROGRESS, {"fraction": None, "text": text})


def _changes(can_hide_network: bool) -> tuple[Perturbation, ...]:
    """All that this machine can make; the network only where it may be missed."""
    hides = can_hide_network and can_enclose()
    return tuple(one for one in ALL if one is not Perturbation.NETWORK or hides)


def _unstable(cells: Sequence[CellVerdict]) -> set[int]:
    return {cell.index for cell in cells if cell.again is Sameness.DIFFERENT}
