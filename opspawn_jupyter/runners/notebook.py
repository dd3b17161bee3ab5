"""Carrying out tasks of kind ``notebook``."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from opspawn_jupyter import faults, timeline
from opspawn_jupyter.model import wire
from opspawn_jupyter.model.notebook import NotebookSpec, Tier
from opspawn_jupyter.model.run_directory import RunDirectory
from opspawn_jupyter.model.states import OUTCOME_EVENTS, EventType, State
from opspawn_jupyter.model.work import Assignment, Grace
from opspawn_jupyter.ports import Reporter
from opspawn_jupyter.runners import environment, glue, loops, markers, prepare, problems
from opspawn_jupyter.runners.brake import Brake
from opspawn_jupyter.runners.direct import DirectKernel
from opspawn_jupyter.runners.engine import Execution, Limits, Outcome
from opspawn_jupyter.runners.forked import ForkedKernel
from opspawn_jupyter.runners.keeper import Keeper, keeping_seconds
from opspawn_jupyter.runners.kernel import Kernel
from opspawn_jupyter.runners.kernel_variables import kernel_environment
from opspawn_jupyter.runners.saving import SavingManager
from opspawn_jupyter.runners.variables import given

_KERNELS = {Tier.KERNEL: ForkedKernel, Tier.DIRECT: DirectKernel, Tier.COLD: Kernel}
#: After these the kernel has ended as it was asked to.
_CLEAN = (State.SUCCESS, State.FAILED)
_STOP_MESSAGES = {
    State.CANCELLED: "The task was cancelled.",
    State.CRASHED: "The worker process died.",
}


class NotebookRunner:
    """Executes the pinned notebook with papermill's conventions and our engine."""

    def __init__(self, grace: Grace) -> None:
        self._grace = grace
        #: See ``ports.Runner``.
        self.is_clean = False

    def run(self, assignment: Assignment, directory: Path, reporter: Reporter) -> None:
        """See ``ports.Runner``."""
        brake = Brake()
        reporter.on_stop(pull(brake))
        files = RunDirectory(directory)
        spec = wire.decode(NotebookSpec, assignment.spec)
        kernel = self._kernel(assignment, spec, files)
        kernel.order()
        try:
            prepared = prepare.notebook(files, spec)
            manager = SavingManager(prepared, str(files.output), may_wait=True)
        except prepare.CANNOT_PREPARE as error:
            loops.run(kernel.close())
            problem = problems.unexpected(error)
            tell_outcome(reporter, Outcome(state=State.FAILED, problem=problem))
            return
        timeline.reach("runner.prepared")
        keeper = Keeper(kernel, brake, keeping_seconds(assignment, spec))
        execution = Execution(
            manager,
            kernel,
            tell=glue.keeping(reporter.tell, files),
            limits=limits_of(assignment, self._grace),
            brake=brake,
            meanwhile=manager.notebook_start,
            connected=partial(environment.record, kernel, files.environment),
            settled=partial(_complete, manager, reporter),
            ended=partial(tell_outcome, reporter),
            keeps=keeper.is_wanted,
        )
        outcome = loops.run(execution.execute())
        if execution.is_kept:
            reporter.tell(EventType.KERNEL_KEPT, keeper.facts())
            tell_outcome(reporter, outcome)
            keeper.keep()
        self.is_clean = not execution.is_kept and outcome.state in _CLEAN

    def _kernel(self, assignment: Assignment, spec: NotebookSpec, files: RunDirectory) -> Kernel:
        return _KERNELS[spec.tier](
            spec.kernel,
            grace=self._grace,
            cwd=str(Path(assignment.root_directory, spec.working_directory)),
            env={
                **kernel_environment(
                    given(), task_id=assignment.task_id, run_directory=files.path.absolute()
                ),
                **assignment.environment,
            },
            is_alone=True,
            prefix=() if spec.tier is Tier.COLD else None,
        )


def limits_of(assignment: Assignment, grace: Grace) -> Limits:
    """What holds for the run and for each of its cells."""
    return Limits(
        run_seconds=assignment.policy.timeout_seconds,
        cell_seconds=assignment.policy.cell_timeout_seconds,
        grace=grace,
        outputs=assignment.output_limits,
    )


def _complete(manager: SavingManager, reporter: Reporter, outcome: Outcome) -> None:
    reporter.catch_up()
    complete(manager, outcome)


def complete(manager: SavingManager, outcome: Outcome) -> None:
    """Save the notebook for the last time, saying how it ended."""
    if outcome.state is not State.SUCCESS:
        manager.nb.metadata.papermill["exception"] = True
    if outcome.state is State.FAILED:
        markers.add(manager.nb, outcome.problem)
    manager.notebook_complete()
    timeline.reach("runner.saved_last")


def pull(brake: Brake) -> Callable[[State], None]:
    """What pulls the brake where the run must end before its time."""
    return lambda state: brake.pull(state, _STOP_MESSAGES[state])


def tell_outcome(reporter: Reporter, outcome: Outcome) -> None:
    """Tell how the run ended; the last that is told."""
    data: dict[str, Any] = {}
    if outcome.problem is not None:
        data["error"] = wire.encode(outcome.problem)
    faults.reach("runner.before_outcome")
    reporter.tell(OUTCOME_EVENTS[outcome.state], data)
    faults.reach("runner.after_outcome")
