"""One attempt of a step in the tier ``pool``."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

from opspawn_jupyter.model import wire
from opspawn_jupyter.model.clock import now
from opspawn_jupyter.model.run_directory import RunDirectory
from opspawn_jupyter.model.states import OUTCOME_EVENTS, EventType, State
from opspawn_jupyter.model.task import Problem
from opspawn_jupyter.model.work import Assignment, ReportedEvent
from opspawn_jupyter.runners.brake import Stop
from opspawn_jupyter.worker import aftermath
from opspawn_jupyter.worker.history import History
from opspawn_jupyter.worker.outbox import Outbox
from opspawn_jupyter.worker.pool import Pool, Ticket


class PooledAttempt:
    """Runs once; to the worker it is as an ``Attempt``."""

    #: No kernel, so none that could stay.
    kept = None

    def __init__(
        self, assignment: Assignment, *, worker_id: str, pool: Pool, outbox: Outbox
    ) -> None:
        self.assignment = assignment
        self._worker_id = worker_id
        self._pool = pool
        self._history = History(assignment, outbox)
        self._ticket = Ticket(assignment, self._hear)
        self._forced: Stop | None = None
        self._is_given_back = False
        self._limit: asyncio.TimerHandle | None = None

    async def run(self) -> None:
        """From the first event to the last. The last is an outcome, unless it is given back."""
        try:
            if not self._ticket.ended.is_set():
                self._pool.put(self._ticket)
                await self._ticket.ended.wait()
        finally:
            if self._limit is not None:
                self._limit.cancel()
        if not self._history.task.state.ends_attempt and not self._is_given_back:
            await self._conclude()
        self._history.close()

    def cancel(self) -> None:
        """Have it end, or not begin; its outcome follows."""
        self._force(Stop(State.CANCELLED, "The task was cancelled."))

    def abandon(self, message: str) -> None:
        """End it now, whatever it does. Where it has not begun, it is for another worker."""
        is_first = self._forced is None
        has_not_begun = self._force(Stop(State.CRASHED, message))
        self._is_given_back = is_first and has_not_begun

    def _hear(self, *events: ReportedEvent) -> None:
        member = self._ticket.member
        has_followers = member is not None and member.load > 1
        if events[0].type is EventType.STARTED:
            self._limit_time()
        self._history.add(*events, is_journalled=True, may_wait=has_followers)

    def _limit_time(self) -> None:
        if seconds := self.assignment.policy.timeout_seconds:
            message = f"The run took longer than its limit of {seconds:g} seconds."
            stop = Stop(State.TIMED_OUT, message)
            self._limit = asyncio.get_running_loop().call_later(seconds, self._force, stop)

    def _force(self, stop: Stop) -> bool:
        """Whether it will not begin. A function cannot be stopped from outside, so its process
        ends."""
        if self._forced is not None or self._ticket.ended.is_set():
            return False
        self._forced = stop
        member = self._ticket.member
        if member is not None and not member.stop(self._ticket):
            return False
        self._ticket.ended.set()
        return True

    async def _conclude(self) -> None:
        """It has told no outcome: do it in its place."""
        if self._history.task.state is State.QUEUED:
            self._history.add(_told(EventType.STARTED, {"worker": self._worker_id}))
        problem = aftermath.runner_death(self._ticket.exit_code, self._history.task)
        state = State.CRASHED
        if self._forced is not None:
            state = self._forced.state
            problem = Problem(name=state.value, message=self._forced.message)
        with suppress(OSError):
            await asyncio.to_thread(aftermath.clean_up, self.assignment.task_id, 0, None)
        directory = RunDirectory(Path(self.assignment.run_directory))
        await asyncio.to_thread(aftermath.settle_notebook, directory, self._history.task, state)
        self._history.add(_told(OUTCOME_EVENTS[state], {"error": wire.encode(problem)}))


def _told(type: EventType, data: dict[str, object]) -> ReportedEvent:
    return ReportedEvent(type=type, at=now(), data=data)
