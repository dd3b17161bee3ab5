"""One attempt of a step in the tier ``pool``."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from opspawn_jupyter.model import run_journal, wire
from opspawn_jupyter.model.clock import now
from opspawn_jupyter.model.run_directory import RunDirectory
from opspawn_jupyter.model.states import OUTCOME_EVENTS, EventType, State
from opspawn_jupyter.model.task import Problem
from opspawn_jupyter.model.work import Assignment, ReportedEvent
from opspawn_jupyter.runners.brake import Stop
from opspawn_jupyter.worker import aftermath
from opspawn_jupyter.worker.history import History
from opspawn_jupyter.worker.outbox import Outbox, Piece
from opspawn_jupyter.worker.pool import Pool, Ticket
from opspawn_jupyter.worker.word import Word

_log = logging.getLogger(__name__)


class PooledAttempt:
    """Runs once; to the worker it is as an ``Attempt``. What its process tells goes on to the
    server as it is."""

    #: No kernel, so none that could stay.
    kept = None

    def __init__(
        self, assignment: Assignment, *, worker_id: str, pool: Pool, outbox: Outbox
    ) -> None:
        self.assignment = assignment
        self._worker_id = worker_id
        self._pool = pool
        self._outbox = outbox
        self._ticket = Ticket(assignment, self._hear, self._end)
        self._left: Callable[[], None] = _shrug
        self._forced: Stop | None = None
        self._is_given_back = False
        self._has_outcome = False
        self._limit: asyncio.TimerHandle | None = None

    @property
    def is_over(self) -> bool:
        """It has its outcome, or is given back; else ``run`` is to give it one."""
        return self._has_outcome or self._is_given_back

    def begin(self, left: Callable[[], None]) -> None:
        """Have it run; ``left`` is called once it has ended, however that was."""
        self._left = left
        self._pool.put(self._ticket)

    async def run(self) -> None:
        """Tell the outcome of one that has ended without a word of it."""
        history = History(self.assignment, self._outbox)
        directory = RunDirectory(Path(self.assignment.run_directory))
        written = run_journal.events(directory.events, self.assignment.attempt)
        try:
            history.recover(written, self._ticket.number)
        except (ValueError, KeyError, TypeError, AttributeError):
            _log.exception("journal of a step makes no sense task_id=%s", self.assignment.task_id)
        if not history.task.state.ends_attempt:
            await self._conclude(history, directory)
        history.close()

    def cancel(self) -> None:
        """Have it end, or not begin; its outcome follows."""
        self._stop(Stop(State.CANCELLED, "The task was cancelled."))

    def abandon(self, message: str) -> None:
        """End it now, whatever it does. Where it has not begun, it is for another worker."""
        if self._force(Stop(State.CRASHED, message)):
            self._is_given_back = True
            self._ticket.end()

    def _hear(self, word: Word) -> None:
        member = self._ticket.member
        has_followers = member is not None and member.load > 1
        if word.has_begun:
            self._limit_time()
        self._has_outcome = word.is_over
        piece = Piece(word.text, word.is_passing, is_urgent=word.is_over)
        task_id, attempt = self.assignment.task_id, self.assignment.attempt
        self._outbox.put(task_id, attempt, piece, may_wait=has_followers)

    def _end(self) -> None:
        if self._limit is not None:
            self._limit.cancel()
        self._left()

    def _limit_time(self) -> None:
        if seconds := self.assignment.policy.timeout_seconds:
            message = f"The run took longer than its limit of {seconds:g} seconds."
            stop = Stop(State.TIMED_OUT, message)
            self._limit = asyncio.get_running_loop().call_later(seconds, self._stop, stop)

    def _stop(self, stop: Stop) -> None:
        if self._force(stop):
            self._ticket.end()

    def _force(self, stop: Stop) -> bool:
        """Whether it will not begin. A function cannot be stopped from outside, so its process
        ends."""
        if self._forced is not None or self._ticket.is_ended:
            return False
        self._forced = stop
        member = self._ticket.member
        return member is None or member.stop(self._ticket)

    async def _conclude(self, history: History, directory: RunDirectory) -> None:
        """It has told no outcome: do it in its place."""
        if history.task.state is State.QUEUED:
            history.add(_told(EventType.STARTED, {"worker": self._worker_id}))
        problem = aftermath.runner_death(self._ticket.exit_code, history.task)
        state = State.CRASHED
        if self._forced is not None:
            state = self._forced.state
            problem = Problem(name=state.value, message=self._forced.message)
        with suppress(OSError):
            await asyncio.to_thread(aftermath.clean_up, self.assignment.task_id, 0, None)
        await asyncio.to_thread(aftermath.settle_notebook, directory, history.task, state)
        history.add(_told(OUTCOME_EVENTS[state], {"error": wire.encode(problem)}))


def _told(type: EventType, data: dict[str, object]) -> ReportedEvent:
    return ReportedEvent(type=type, at=now(), data=data)


def _shrug() -> None:
    """Nobody waits for the end."""
