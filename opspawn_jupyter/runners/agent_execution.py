"""Running a notebook that an agent writes: after its first cells, each act is one more."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from nbclient.exceptions import CellExecutionError, CellTimeoutError

from opspawn_jupyter.agentkit.waiting import Waits
from opspawn_jupyter.errors import AgentStopped
from opspawn_jupyter.model.agent import Act, AgentMode, Ran
from opspawn_jupyter.model.executed_notebook import title
from opspawn_jupyter.model.states import CellState, EventType, State
from opspawn_jupyter.model.task import Problem
from opspawn_jupyter.ports import Workbench
from opspawn_jupyter.runners.agent_notebook import (
    AgentNotebook,
    raised,
    same,
    settle,
    tag_as_raising,
)
from opspawn_jupyter.runners.cells import CellClient
from opspawn_jupyter.runners.engine import Execution, Outcome

#: The agent at work on this bench, to its end.
Work = Callable[[Workbench], Awaitable[None]]


class AgentExecution(Execution):
    """``work`` is awaited after the first cells and may run more of them through ``run``.

    ``act_seconds`` says how long the next act may take; one that takes longer is interrupted, and
    the agent goes on with what it printed. One that does not obey ends the run.
    """

    _ends_with_cells = False

    def __init__(
        self,
        *arguments: Any,
        work: Work,
        act_seconds: Callable[[], float],
        mode: AgentMode,
        **options: Any,
    ) -> None:
        super().__init__(*arguments, **options)
        self._agent = work
        self._act_seconds = act_seconds
        self._notebook = AgentNotebook(self._manager)
        self._bench: CellClient | None = None
        self._was_cut = False
        self._mode = mode
        #: Ids of the cells that gave something else than they had, where that is looked at.
        self.differing: list[str] = []

    async def run_act(self, act: Act, recorded: Sequence[Mapping[str, Any]] | None = None) -> Ran:
        """Put the act's cell down and run it; with outputs that it had before, only to bring the
        kernel back to where it was, and not at all where that would be felt elsewhere."""
        cell, index = self._notebook.add(act)
        added = {"index": index, "id": cell.id, "title": title(act.source)}
        self._tell(EventType.CELL_ADDED, added)
        self._cell = index
        self._manager.begin(cell, index)
        self._tell(EventType.CELL_STARTED, {"index": index})
        started = time.monotonic()
        has_failed = recorded is not None and raised(recorded)
        if self._is_to_run(act, recorded):
            has_failed = await self._has_failed(cell, index)
        if recorded is not None:
            has_failed = self._compared(cell, recorded, has_failed=has_failed)
        if has_failed:
            tag_as_raising(cell)
        state = CellState.FAILED if has_failed else CellState.SUCCESS
        self._outputs.flush()
        self._cell_finished(cell, index, state, round(time.monotonic() - started, 6))
        self._cell = None
        self._manager.nb.metadata.papermill["exception"] = None  # the agent lives with it
        return Ran(outputs=tuple(cell.outputs), has_failed=has_failed, was_cut=self._was_cut)

    def _is_to_run(self, act: Act, recorded: Sequence[Mapping[str, Any]] | None) -> bool:
        """A mistake is not made again to see whether the rest can do without it."""
        if recorded is None:
            return True
        is_proof = self._mode in (AgentMode.RERUN, AgentMode.REPRODUCE)
        return act.is_repeatable and not (is_proof and raised(recorded))

    def _compared(
        self, cell: Any, recorded: Sequence[Mapping[str, Any]], *, has_failed: bool
    ) -> bool:
        """Whether the cell counts as failed, once it has the outputs that the mode keeps."""
        is_proof = not raised(recorded) and cell.execution_count is not None
        if self._mode is AgentMode.RERUN and is_proof:
            return has_failed
        is_same = not has_failed and same(cell.outputs, recorded)
        if self._mode is AgentMode.REPRODUCE and is_proof and not is_same:
            self.differing.append(cell.id)
        settle(cell, recorded)
        return raised(recorded)

    async def _go_on(self, client: CellClient) -> None:
        self._bench = client
        self._put_down_last()
        try:
            await self._agent(_Bench(self, self._notebook))
        except AgentStopped as stopped:
            self._conclude(State.FAILED, problem(stopped), stopped)
        except Waits as waits:
            self._outcome = Outcome(state=State.WAITING, cause=waits)

    async def _has_failed(self, cell: Any, index: int) -> bool:
        """Run the cell. Raises ``DeadKernelError``, which ends the run."""
        assert self._bench is not None  # noqa: S101 (acts come after the first cells)
        with self._cutting():
            try:
                await self._bench.run_cell(cell, index)
            except (CellExecutionError, CellTimeoutError):
                return True
        return False

    @contextmanager
    def _cutting(self) -> Iterator[None]:
        """Interrupt what takes too long; where that does not help in time, end the run."""
        self._was_cut = False
        loop, seconds = asyncio.get_running_loop(), self._act_seconds()
        grace = self._limits.grace.interrupt_seconds
        message = f"A cell did not end {grace:g} s after its limit of {seconds:g} s."
        timers = (
            loop.call_later(seconds, self._cut),
            loop.call_later(seconds + grace, self._brake.pull, State.TIMED_OUT, message),
        )
        try:
            yield
        finally:
            for timer in timers:
                timer.cancel()

    def _cut(self) -> None:
        self._was_cut = True
        self._interrupting = asyncio.ensure_future(self._kernel.interrupt())

    async def _wind_down(self, work: asyncio.Future[None]) -> None:
        """While no cell runs there is nothing to interrupt: the agent waits for a model."""
        if self._cell is None:
            work.cancel()
        await super()._wind_down(work)


class _Bench:
    """An execution as its agent sees it."""

    def __init__(self, execution: AgentExecution, notebook: AgentNotebook) -> None:
        self._execution = execution
        self._notebook = notebook

    async def run(self, act: Act, recorded: Sequence[Mapping[str, Any]] | None = None) -> Ran:
        return await self._execution.run_act(act, recorded)

    def write(self, cell_id: str, text: str, tags: Sequence[str] = ()) -> None:
        self._notebook.write(cell_id, text, tags)


def problem(stopped: AgentStopped) -> Problem:
    """Why the agent did not come to an answer."""
    return Problem(name=stopped.code, message=stopped.message)
