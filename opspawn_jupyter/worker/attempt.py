"""One attempt of a task: its runner process, and everything that it tells."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from contextlib import suppress
from multiprocessing.process import BaseProcess
from pathlib import Path

import psutil

from opspawn_jupyter import faults, timeline
from opspawn_jupyter.kernels.recipe import Recipe
from opspawn_jupyter.lines import Lines
from opspawn_jupyter.model import wire
from opspawn_jupyter.model.clock import now
from opspawn_jupyter.model.run_directory import RunDirectory
from opspawn_jupyter.model.states import OUTCOME_EVENTS, EventType, State
from opspawn_jupyter.model.task import Problem
from opspawn_jupyter.model.work import Assignment, Grace, ReportedEvent
from opspawn_jupyter.runners import processes
from opspawn_jupyter.runners.brake import Stop
from opspawn_jupyter.worker import aftermath, channel
from opspawn_jupyter.worker.fork_servers import ForkServers
from opspawn_jupyter.worker.history import History
from opspawn_jupyter.worker.kept import Kept
from opspawn_jupyter.worker.launcher import Launcher
from opspawn_jupyter.worker.outbox import Outbox
from opspawn_jupyter.worker.spares import RunnerProcess, SpareRunners

#: What a runner gets beyond its graces before the worker takes over.
_MARGIN_SECONDS = 5.0
#: Runners that an attempt is given to, one after the other, as long as none of them begins.
_MOST_RUNNERS = 3
_log = logging.getLogger(__name__)


class Attempt:
    """Runs once. The runner does the work; the worker steps in only where the runner dies, or
    does not do what it was told."""

    def __init__(
        self, assignment: Assignment, *, worker_id: str, grace: Grace, launcher: Launcher,
        spares: SpareRunners, fork_servers: ForkServers, outbox: Outbox,
    ) -> None:  # fmt: skip
        self.assignment = assignment
        self.is_cancelling = False
        self._worker_id = worker_id
        self._grace = grace
        self._launcher = launcher
        self._spares = spares
        self._fork_servers = fork_servers
        self._history = History(assignment, outbox)
        self._line: Lines | None = None
        self._runner: psutil.Process | None = None
        self._kernel: psutil.Process | None = None
        self._process: BaseProcess | None = None
        self._is_keeping = False
        #: The runner has read what it is to do.
        self._has_begun = False
        #: The runner has done its work, and would take another attempt.
        self._is_over = False
        #: Nothing more is to be heard from it.
        self._is_done = asyncio.Event()
        self._forced: Stop | None = None
        self._timers: list[asyncio.TimerHandle] = []

    async def run(self) -> None:
        """From the first event to the last. The last is always an outcome."""
        self._history.begin(_told(EventType.STARTED, {"worker": self._worker_id}))
        exit_code: int | None = None
        try:
            exit_code = await self._run_process()
        except Exception:  # whatever broke, the task must get its outcome
            _log.exception("runner lost task_id=%s", self.assignment.task_id)
        finally:
            for timer in self._timers:
                timer.cancel()
            if self.kept is None:
                self._kill()
        if not self._history.task.state.ends_attempt:
            await self._conclude(exit_code)
        elif self._history.task.state is State.CRASHED:
            await self._settle_notebook(State.CRASHED)  # its runner may have been unable to
        self._history.close()

    @property
    def kept(self) -> Kept | None:
        """The kernel that stays behind, where one does; for the caller to look after."""
        if self._process is None or self._line is None or not self._has_left_a_kernel:
            return None
        return Kept(
            task=self._history.task,
            process=self._process,
            runner=self._runner,
            kernel=self._kernel,
            line=self._line,
        )

    @property
    def _has_left_a_kernel(self) -> bool:
        return self._is_keeping and self._history.task.state.is_final and self._forced is None

    def cancel(self) -> None:
        """Have the run cancelled; its outcome follows."""
        if self.is_cancelling:
            return
        self.is_cancelling = True
        self._send_cancel()
        message = "The task was cancelled; its runner did not obey and was killed."
        self._force_after(0.0, Stop(State.CANCELLED, message))

    def abandon(self, message: str) -> None:
        """End the run now, whatever it does."""
        self._force(Stop(State.CRASHED, message))

    async def _run_process(self) -> int | None:
        """Give the attempt to a runner; to another, where that died before it could begin."""
        self._limit()
        for _ in range(_MOST_RUNNERS - 1):
            exit_code = await self._run_in(await self._spares.take())
            if self._has_begun or self._forced is not None:
                return exit_code
            _log.warning("runner died before it began task_id=%s", self.assignment.task_id)
        return await self._run_in(await self._spares.take())

    async def _run_in(self, runner: RunnerProcess) -> int | None:
        self._is_done.clear()
        self._process, self._runner, self._line = runner.process, runner.handle, runner.line
        runner.line.listen(self._hear, self._is_done.set)
        runner.line.say(channel.assignment_message(self.assignment))
        timeline.reach("worker.handed")
        if self.is_cancelling:  # it was cancelled before there was somebody to tell
            self._send_cancel()
        faults.reach("worker.after_start")
        if self._forced is not None:
            self._kill()
        is_left = False
        try:
            await self._is_done.wait()
            runner.line.leave()
            is_left = self._has_left_a_kernel or self._give_back(runner)
        finally:
            if not is_left:
                runner.line.close()
        if is_left:
            return None
        return await self._exit_code(runner.process)

    def _give_back(self, runner: RunnerProcess) -> bool:
        """Leave the runner to another attempt, if it is one that can be left; it is nobody's to
        kill from here on."""
        if not self._is_over or self._forced is not None or not self._spares.give_back(runner):
            return False
        self._process = self._runner = self._line = None
        return True

    def _hear(self, told: Iterable[bytes]) -> None:
        events = []
        for event in map(channel.parse, told):
            if event is None:
                self._is_over = True
            elif isinstance(event, channel.Begun):
                self._has_begun = True
            elif isinstance(event, Recipe):
                self._fork_servers.start(event)
            else:
                self._note(event)
                events.append(event)
        self._history.add(*events)
        if self._has_left_a_kernel or self._is_over:
            self._is_done.set()

    def _note(self, event: ReportedEvent) -> None:
        if event.type is EventType.KERNEL_STARTED:
            with suppress(psutil.NoSuchProcess):
                self._kernel = psutil.Process(event.data["pid"])
        self._is_keeping = self._is_keeping or event.type is EventType.KERNEL_KEPT

    async def _exit_code(self, process: BaseProcess) -> int | None:
        code = await self._launcher.exit_code(process, self._grace.terminate_seconds)
        if code is None:
            self._kill()
            code = await self._launcher.exit_code(process, self._grace.terminate_seconds)
        return code

    async def _conclude(self, exit_code: int | None) -> None:
        """The runner is dead and has told no outcome: do it in its place."""
        self._is_keeping = False
        task = self._history.task
        problem = aftermath.runner_death(exit_code, task)
        state = State.CRASHED
        if self._forced is not None:
            state = self._forced.state
            problem = Problem(
                name=state.value, message=self._forced.message, cell_index=problem.cell_index
            )
        runner_pid = self._runner.pid if self._runner else 0
        await asyncio.to_thread(
            aftermath.clean_up, self.assignment.task_id, runner_pid, self._kernel
        )
        await self._settle_notebook(state)
        self._history.add(_told(OUTCOME_EVENTS[state], {"error": wire.encode(problem)}))

    async def _settle_notebook(self, state: State) -> None:
        directory = RunDirectory(Path(self.assignment.run_directory))
        await asyncio.to_thread(aftermath.settle_notebook, directory, self._history.task, state)

    def _limit(self) -> None:
        """Step in where the runner does not hold the task's own limit."""
        if limit := self.assignment.policy.timeout_seconds:
            message = f"The run did not end at its limit of {limit:g} seconds and was killed."
            self._force_after(limit, Stop(State.TIMED_OUT, message))

    def _force_after(self, seconds: float, stop: Stop) -> None:
        graces = self._grace.interrupt_seconds + 2 * self._grace.terminate_seconds
        delay = seconds + graces + _MARGIN_SECONDS
        self._timers.append(asyncio.get_running_loop().call_later(delay, self._force, stop))

    def _force(self, stop: Stop) -> None:
        self._forced = self._forced or stop
        self._kill()

    def _kill(self) -> None:
        """Kill the runner with the kernel that hangs on it, unless it has ended."""
        if self._runner is not None and self._runner.is_running():
            processes.kill_session(self._runner.pid, [self._runner])

    def _send_cancel(self) -> None:
        if self._line is not None:
            self._line.say(channel.cancel_message())


def _told(type: EventType, data: dict[str, object]) -> ReportedEvent:
    return ReportedEvent(type=type, at=now(), data=data)
