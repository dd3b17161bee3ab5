"""Carrying out tasks of kind ``agent``."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from opspawn_jupyter.agentkit.agent import Agent, Parts
from opspawn_jupyter.agentkit.approvals import QuestionApprovals
from opspawn_jupyter.agentkit.budget import Account
from opspawn_jupyter.agentkit.tools import Checked, Result
from opspawn_jupyter.agentkit.tracing import Trace, tracing
from opspawn_jupyter.agentkit.waiting import Waits
from opspawn_jupyter.errors import AgentStopped, SettingInvalid
from opspawn_jupyter.model import wire
from opspawn_jupyter.model.agent import AgentMode, AgentSpec, Plan
from opspawn_jupyter.model.agent_door import Allowance
from opspawn_jupyter.model.conversation import Reply, Usage
from opspawn_jupyter.model.run_directory import RunDirectory
from opspawn_jupyter.model.states import EventType, State
from opspawn_jupyter.model.work import Assignment, Grace
from opspawn_jupyter.ports import Reporter, Workbench
from opspawn_jupyter.runners import environment, prepare, problems
from opspawn_jupyter.runners.agent_door import LoopDoor
from opspawn_jupyter.runners.agent_execution import AgentExecution, problem
from opspawn_jupyter.runners.agent_notebook import PaperBench
from opspawn_jupyter.runners.agent_parts import Surroundings, parts
from opspawn_jupyter.runners.agent_report import Totals, answer_text, answer_values, totals_text
from opspawn_jupyter.runners.agent_secrets import adopt
from opspawn_jupyter.runners.brake import Brake
from opspawn_jupyter.runners.engine import Outcome
from opspawn_jupyter.runners.forked import ForkedKernel
from opspawn_jupyter.runners.kernel_variables import agent_environment
from opspawn_jupyter.runners.notebook import complete, limits_of, pull, tell_outcome
from opspawn_jupyter.runners.saving import SavingManager


class AgentRunner:
    """Runs the loop in this process and its acts in a kernel, as cells of one notebook."""

    def __init__(self, grace: Grace) -> None:
        self._grace = grace

    def run(self, assignment: Assignment, directory: Path, reporter: Reporter) -> None:
        """See ``ports.Runner``."""
        brake = Brake()
        reporter.on_stop(pull(brake))
        files = RunDirectory(directory)
        spec = wire.decode(AgentSpec, assignment.spec)
        try:
            if assignment.door is not None:
                adopt(assignment.door.secrets_file)
            manager = SavingManager(prepare.notebook(files, spec.notebook), str(files.output))
        except (*prepare.CANNOT_PREPARE, SettingInvalid) as error:
            failed = Outcome(state=State.FAILED, problem=problems.unexpected(error))
            tell_outcome(reporter, failed)
            return
        run = AgentRun(spec, assignment, files, reporter, manager)
        manager.notebook_start()
        if spec.mode is AgentMode.REPLAY:
            outcome = asyncio.run(run.replay())
        else:
            execution = self._execution(assignment, run, brake)
            outcome = execution.run()
            if spec.mode is AgentMode.REPRODUCE and outcome.state is State.SUCCESS:
                run.compared(execution.differing)
        run.close()
        if isinstance(outcome.cause, Waits):
            manager.notebook_complete()
            reporter.tell(EventType.WAITING, outcome.cause.facts)
            return
        complete(manager, outcome)
        tell_outcome(reporter, outcome)

    def _execution(self, assignment: Assignment, run: AgentRun, brake: Brake) -> AgentExecution:
        files, notebook = run.files, run.spec.notebook
        kernel = ForkedKernel(
            notebook.kernel,
            grace=self._grace,
            cwd=str(Path(assignment.root_directory, notebook.working_directory)),
            env={
                **agent_environment(
                    os.environ, task_id=assignment.task_id, run_directory=files.path.absolute()
                ),
                **assignment.environment,
            },
            is_alone=True,
        )
        return AgentExecution(
            run.manager,
            kernel,
            tell=run.reporter.tell,
            limits=limits_of(assignment, self._grace),
            brake=brake,
            connected=partial(environment.record, kernel, files.environment),
            work=run.work,
            act_seconds=run.act_seconds,
            mode=run.spec.mode,
        )


class AgentRun:
    """One run: its parts, what it uses up, and what it leaves in the notebook."""

    def __init__(
        self,
        spec: AgentSpec,
        assignment: Assignment,
        files: RunDirectory,
        reporter: Reporter,
        manager: SavingManager,
    ) -> None:
        self.spec = spec
        self.files = files
        self.reporter = reporter
        self.manager = manager
        self._assignment = assignment
        self._door = LoopDoor(assignment.door, assignment.task_id)
        self._account = Account(spec.limits, self._shared if self._door.shares_budget else None)
        #: As it was told, to the last of it: nothing that came from the tape.
        self._told = Usage()
        self._models: list[str] = []
        self._bench: Workbench | None = None

    async def work(self, bench: Workbench) -> None:
        """To the answer. Raises ``AgentStopped``."""
        self._bench = bench
        with tracing(self._assignment.task_id, self.files.path) as trace:
            agent = Agent(self.spec, await self._parts(bench, trace), self._account, self)
            answer = await agent.run()
        bench.write("answer", answer_text(answer), ("answer",))
        for name, value in answer_values(answer).items():
            self.reporter.tell(EventType.STEP_OUTPUT, {"name": name, "value": value})

    async def replay(self) -> Outcome:
        """The same from the tape alone."""
        try:
            await self.work(PaperBench(self.manager))
        except AgentStopped as stopped:
            return Outcome(state=State.FAILED, problem=problem(stopped), cause=stopped)
        return Outcome()

    def compared(self, differing: Sequence[str]) -> None:
        """Say whether the code gives what it gave first."""
        verdict = {"reproducible": not differing, "differing_cells": list(differing)}
        self.manager.nb.metadata["opspawn"] = verdict
        for name, value in verdict.items():
            self.reporter.tell(EventType.STEP_OUTPUT, {"name": name, "value": value})

    def act_seconds(self) -> float:
        """How long the next act may take."""
        limit, remaining = self.spec.limits.tool_seconds, self._account.remaining_seconds
        return limit if remaining is None else max(0.1, min(limit, remaining))

    def close(self) -> None:
        """Put the totals into the notebook, however the run ended."""
        totals = Totals(
            usage=self._account.usage,
            models=tuple(dict.fromkeys(self._models)),
            steps=self._account.steps,
            tape_sha256=_digest(self.files.tape),
        )
        if self._bench is not None:
            self._bench.write("totals", totals_text(totals), ("totals",))
        known = self.manager.nb.metadata.get("opspawn", {})
        self.manager.nb.metadata["opspawn"] = {**known, "agent": wire.encode(totals)}

    async def _parts(self, bench: Workbench, trace: Trace) -> Parts:
        surroundings = Surroundings(
            spec=self.spec,
            assignment=self._assignment,
            files=self.files,
            account=self._account,
            door=self._door,
            approvals=QuestionApprovals(self._assignment.questions),
            trace=trace,
        )
        return await parts(surroundings, bench, self._planned)

    async def _shared(self) -> Allowance:
        return await self._door.allowance(self._told)

    def replied(self, reply: Reply, *, is_new: bool) -> None:
        """See ``agent.Listener``."""
        self._models.append(reply.model)
        if is_new:
            self._told += reply.usage
            facts = {"model": reply.model, **wire.encode(reply.usage)}
            self.reporter.tell(EventType.MODEL_REPLIED, facts)

    def called(self, checked: Checked, result: Result) -> None:
        """See ``agent.Listener``."""
        tool, has_failed = checked.call.name, result.has_failed
        facts = {"tool": tool, "has_failed": has_failed, "tool_calls": 1}
        self._told += Usage(tool_calls=1)
        self.reporter.tell(EventType.AGENT_CALLED, facts)

    def _planned(self, plan: Plan) -> None:
        progress = {"fraction": plan.done / len(plan.steps), "text": plan.current}
        self.reporter.tell(EventType.STEP_PROGRESS, progress)


def _digest(path: Path) -> str | None:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else None
