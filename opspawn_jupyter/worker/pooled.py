"""One attempt of a step in the tier ``pool``."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace

from opspawn_jupyter.model import wire
from opspawn_jupyter.model.clock import now
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
        self._limit: asyncio.TimerHandle | None = None

    async def run(self) -> None:
        """From the first event to the last. The last is always an outcome."""
        try:
            if self._forced is None:
                self._pool.put(self._ticket)
                await self._ticket.ended.wait()
        finally:
            if self._limit is not None:
                self._limit.cancel()
        if not self._history.task.state.ends_attempt:
            await self._conclude()
        self._history.close()

    def cancel(self) -> None:
        """Have it end, or not begin; its outcome follows."""
        self._force(Stop(State.CANCELLED, "The task was cancelled."))

    def abandon(self, message: str) -> None:
        """End it now, whatever it does."""
        self._force(Stop(State.CRASHED, message))

    def _hear(self, event: ReportedEvent) -> None:
        if event.type is not EventType.STARTED:
            self._history.add(event)
            return
        self._history.add(replace(event, data={"worker": self._worker_id}))
        if seconds := self.assignment.policy.timeout_seconds:
            message = f"The run took longer than its limit of {seconds:g} seconds."
            stop = Stop(State.TIMED_OUT, message)
            self._limit = asyncio.get_running_loop().call_later(seconds, self._force, stop)

    def _force(self, stop: Stop) -> None:
        """A function cannot be stopped from outside, so its process ends."""
        if self._forced is not None or self._ticket.ended.is_set():
            return
        self._forced = stop
        member = self._ticket.member
        if self._ticket.has_begun and member is not None:
            member.kill()
        else:
            if member is not None:
                member.forget(self._ticket)
            self._ticket.ended.set()

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
        self._history.add(_told(OUTCOME_EVENTS[state], {"error": wire.encode(problem)}))


def _told(type: EventType, data: dict[str, object]) -> ReportedEvent:
    return ReportedEvent(type=type, at=now(), data=data)
