"""Running all cells of a notebook in one kernel, and saying truthfully how it went."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

from jupyter_client.kernelspec import NoSuchKernel
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from papermill.log import logger

from opspawn_jupyter import faults, timeline
from opspawn_jupyter.model import executed_notebook
from opspawn_jupyter.model.states import INTERRUPTED_CELL, CellState, EventType, State
from opspawn_jupyter.model.task import Problem
from opspawn_jupyter.model.work import Grace, OutputLimits
from opspawn_jupyter.runners import problems
from opspawn_jupyter.runners.ahead import Ahead, Sender, lasted
from opspawn_jupyter.runners.brake import Brake
from opspawn_jupyter.runners.budget import Budget
from opspawn_jupyter.runners.cells import CellClient
from opspawn_jupyter.runners.kernel import Kernel, death
from opspawn_jupyter.runners.outputs import Outputs, Tell
from opspawn_jupyter.runners.saving import SavingManager

#: How long the run is given to notice that its kernel was ended.
_NOTICE_SECONDS = 2.0


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How long the run and each of its cells may take, how it is ended, what it may put out."""

    run_seconds: float | None = None
    cell_seconds: float | None = None
    grace: Grace = field(default_factory=Grace)
    outputs: OutputLimits = field(default_factory=OutputLimits)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a run ended."""

    state: State = State.SUCCESS
    problem: Problem | None = None
    #: What was raised, for callers that want to raise it on.
    cause: Exception | None = None


class Execution:
    """One run of one notebook.

    ``meanwhile`` is called while the kernel gets ready, ``connected`` awaited while the first cell
    runs, ``settled`` called with the outcome while the kernel ends: nothing waits for them that
    can do without. ``ended`` is called with the outcome once it holds, before what is left of the
    kernel is cleared away. Where ``keeps`` says so, the kernel of a failed run is kept, and is the
    caller's then.
    """

    #: Nothing is to run after the notebook's own cells.
    _ends_with_cells = True

    def __init__(
        self,
        manager: SavingManager,
        kernel: Kernel,
        *,
        tell: Tell,
        limits: Limits,
        brake: Brake,
        meanwhile: Callable[[], None] = lambda: None,
        connected: Callable[[], Awaitable[None]] | None = None,
        settled: Callable[[Outcome], None] = lambda _: None,
        ended: Callable[[Outcome], None] = lambda _: None,
        client_options: Mapping[str, Any] | None = None,
        keeps: bool = False,
    ) -> None:
        self._manager = manager
        self._kernel = kernel
        self._tell = tell
        self._limits = limits
        self._brake = brake
        self._meanwhile = meanwhile
        self._connected = connected
        self._settled = settled
        self._ended = ended
        self._recording: asyncio.Future[None] | None = None
        self._client_options = dict(client_options or {})
        self._keeps = keeps
        #: The kernel of this run stays, for its caller to close.
        self.is_kept = False
        self._outputs = Outputs(tell)
        self._outcome = Outcome()
        self._cell: int | None = None
        self._last: Callable[[], None] = lambda: None

    def run(self) -> Outcome:
        """Run it to its end, in an event loop of its own."""
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return asyncio.run(self.execute())
        # Called from a notebook, whose thread has a running loop already.
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(lambda: asyncio.run(self.execute())).result()

    async def execute(self) -> Outcome:
        """Run it to its end, or to what the brake asks for; the kernel is gone afterwards,
        or kept."""
        try:
            await self._execute()
            if not self.is_kept:
                self._ended(self._outcome)
        finally:
            if not self.is_kept:
                await self._kernel.close()
        return self._outcome

    async def _execute(self) -> None:
        saving = asyncio.ensure_future(self._manager.keep_saved())
        work = asyncio.ensure_future(self._work())
        try:
            with self._brake.limit("The run", self._limits.run_seconds):
                await self._work_or_brake(work)
            await work
        except asyncio.CancelledError:
            self._brake.pull(State.CANCELLED, "The run was interrupted.")
            raise
        finally:
            saving.cancel()
            if not work.done():
                work.cancel()
                await asyncio.wait({work})
            if self._recording is not None:
                self._recording.cancel()
            await self._let_go()

    async def _let_go(self) -> None:
        self._begin()  # where no kernel got that far
        if self._keeps and self._outcome.state is State.FAILED:
            self.is_kept = await self._kernel.exit_code() is None
        if self.is_kept:
            self._kernel.hang_up()
            self._settled(self._outcome)
            return
        ending: Awaitable[None] = self._kernel.end()
        if not self._kernel.is_dismissed:
            ending = asyncio.ensure_future(ending)
            await asyncio.sleep(0)  # so that the kernel has been asked to end
        try:
            self._settled(self._outcome)
        finally:
            await ending
            timeline.reach("runner.kernel_ended")

    def _begin(self) -> None:
        meanwhile, self._meanwhile = self._meanwhile, lambda: None
        meanwhile()

    async def _work_or_brake(self, work: asyncio.Future[None]) -> None:
        stop = asyncio.ensure_future(self._brake.wait())
        await asyncio.wait({work, stop}, return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        if not work.done():
            await self._wind_down(work)

    async def _wind_down(self, work: asyncio.Future[None]) -> None:
        """Interrupt; where that does not help in time, end the kernel."""
        self._kernel.retract()
        if self._kernel.is_ready:
            await self._kernel.interrupt()
            await asyncio.wait({work}, timeout=self._limits.grace.interrupt_seconds)
        if not work.done():
            await self._kernel.stop(politely=False)
            await asyncio.wait({work}, timeout=_NOTICE_SECONDS)
        if not work.done():
            work.cancel()
            await asyncio.wait({work})

    async def _work(self) -> None:
        """All of it, with its outcome; ends by itself soon after the brake is pulled."""
        try:
            await self._start_kernel()
            try:
                await self._run_cells()
            finally:
                self._put_down_last()
            if self._recording is not None:
                await self._recording
        except asyncio.CancelledError:
            if not self._brake.pulled:
                raise
        except (DeadKernelError, NoSuchKernel, OSError) as failure:
            await self._crashed(failure)
        if stop := self._brake.pulled:
            problem = problems.stopped(stop, self._cell)
            self._outcome = Outcome(state=stop.state, problem=problem)

    async def _start_kernel(self) -> None:
        kernel = self._kernel
        faults.reach("runner.before_kernel")
        launching = asyncio.ensure_future(kernel.launch())
        await asyncio.sleep(0)  # so that the fork server has been asked
        try:
            if kernel.listens_early:
                await kernel.connect()
                self._cells.fill()
            self._begin()
        finally:
            await launching
        if kernel.conversation is None:
            self._forget_what_was_sent()
        timeline.reach("runner.launched")
        faults.reach("runner.after_kernel")
        connecting = asyncio.ensure_future(kernel.connect())
        await asyncio.sleep(0)  # so that the kernel has been asked
        try:
            started = {"name": kernel.name, "pid": kernel.pid, **kernel.tier}
            self._tell(EventType.KERNEL_STARTED, started)
            self._tell(EventType.CELLS_PLANNED, executed_notebook.plan(self._manager.nb))
        finally:
            await connecting
        timeline.reach("runner.connected")

    def _forget_what_was_sent(self) -> None:
        """It went nowhere, where the kernel turns out to be reached otherwise."""
        for name in ("_cells", "_client"):
            vars(self).pop(name, None)

    async def _know_kernel(self) -> None:
        """Put down what the kernel says of itself, and with what it runs."""
        kernel = self._kernel
        await kernel.identify()
        self._manager.nb.metadata["language_info"] = kernel.info.get("language_info", {})
        if self._connected is not None and self._recording is None:
            self._recording = asyncio.ensure_future(self._connected())

    async def _run_cells(self) -> None:
        client = self._client
        for index, cell in executed_notebook.own_cells(self._manager.nb):
            if self._brake.pulled:
                break
            if not executed_notebook.runs(cell):
                self._manager.pass_by(cell)
            elif not await self._run_cell(client, cell, index):
                break
            faults.reach("runner.between_cells")
        else:
            await self._go_on(client)
        await self._know_kernel()
        if not self._keeps:
            self._kernel.dismiss()
        self._put_down_last()
        client.set_widgets_metadata()
        timeline.reach("runner.cells_done")

    @cached_property
    def _cells(self) -> Ahead:
        own = executed_notebook.own_cells(self._manager.nb)
        assert self._kernel.conversation is not None  # noqa: S101  it was connected
        sender = Sender(self._kernel.conversation)
        return Ahead(sender, [each for each in own if executed_notebook.runs(each[1])])

    @cached_property
    def _client(self) -> CellClient:
        client = CellClient(
            self._manager,
            self._kernel,
            self._outputs,
            Budget(self._limits.outputs),
            log=logger,
            **self._client_options,
        )
        client.reset_execution_trackers()
        return client

    async def _go_on(self, client: CellClient) -> None:
        """What there is to do after the last cell; nothing, for a notebook."""

    async def _run_cell(self, client: CellClient, cell: Any, index: int) -> bool:
        """Whether the next one may run."""
        request = self._cells.take(index, cell)
        client.begin_cell(cell)
        self._send_ahead()
        self._put_down_last()  # while this one runs
        await self._kernel.take_on(request)
        await self._know_kernel()
        self._cell = index
        self._manager.begin(cell, index)
        self._tell(EventType.CELL_STARTED, {"index": index})
        started = time.monotonic()
        with self._brake.limit("A cell", self._limits.cell_seconds):
            goes_on = await self._goes_on_after(client.end_cell(request, cell, index), cell, index)
        seconds = round(time.monotonic() - started, 6)
        if self._cells.takes_more and (span := lasted(cell)):
            cell.metadata.papermill["start_time"], seconds = span[0].isoformat(), span[1]
        outcome = self._brake.pulled or self._outcome
        self._outputs.flush()
        state = INTERRUPTED_CELL[outcome.state]
        self._last = partial(self._cell_finished, cell, index, state, seconds)
        if outcome.state is State.SUCCESS:
            self._cell = None
        if not goes_on and not self._keeps:
            self._kernel.retract()
        elif client.has_dropped:
            self._cells.forget()
            self._kernel.stay()
        return goes_on

    def _send_ahead(self) -> None:
        """Send what may wait in the kernel; to a kernel that takes it, that is."""
        with self._cells.together():
            self._cells.fill()
            if self._ends_with_cells and self._cells.is_done and not self._keeps:
                self._kernel.dismiss_ahead()

    def _put_down_last(self) -> None:
        """Say how the last cell went, which nobody waits for as long as there is a next."""
        last, self._last = self._last, lambda: None
        last()

    async def _goes_on_after(self, running: Awaitable[None], cell: Any, index: int) -> bool:
        """Run one cell. False, and mostly an outcome, where it is the last that may run."""
        try:
            await running
        except CellExecutionError as error:
            if not problems.is_clean_exit(error):
                self._conclude(State.FAILED, problems.raised(error, cell, index), error)
        except DeadKernelError as death:
            await self._crashed(death)
        except CellTimeoutError as lost:
            self._conclude(State.TIMED_OUT, problems.output_lost(index), lost)
        else:
            return True
        return False

    def _cell_finished(self, cell: Any, index: int, state: CellState, seconds: float) -> None:
        self._manager.end(cell, index, state, seconds)
        finished = {
            "index": index,
            "state": state.value,
            "duration_seconds": seconds,
            "execution_count": cell.execution_count,
        }
        self._tell(EventType.CELL_FINISHED, finished)

    async def _crashed(self, failure: Exception) -> None:
        exit_code = await self._kernel.exit_code()
        if isinstance(failure, DeadKernelError) and not failure.args[0].startswith("The kernel"):
            failure = death(exit_code)  # nbclient does not say how it died
        self._conclude(State.CRASHED, problems.died(failure, exit_code, self._cell), failure)

    def _conclude(self, state: State, problem: Problem, cause: Exception) -> None:
        self._outcome = Outcome(state=state, problem=problem, cause=cause)
