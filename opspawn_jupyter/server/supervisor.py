"""Keeps a local worker at hand while there are tasks for one.

The worker is started once the server has come to rest, so that no task waits for it, or by a task
that comes sooner, or by the first where nothing is to be kept ready. One that dies is mourned (its
tasks are settled) and replaced, more slowly each time it dies young. A worker that is at work when
the server stops is left to its work: the next server adopts it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from contextlib import suppress

from opspawn_jupyter.errors import Unavailable
from opspawn_jupyter.model.event import Event
from opspawn_jupyter.model.ids import new_id, short
from opspawn_jupyter.model.states import TRANSITIONS, EventType, State
from opspawn_jupyter.model.workflow import WORKERLESS
from opspawn_jupyter.orchestrator.context import Orchestration
from opspawn_jupyter.orchestrator.rescue import recover, worker_lost
from opspawn_jupyter.server.background import Background
from opspawn_jupyter.server.worker_process import (
    POLL_SECONDS,
    WorkerProcess,
    end_family,
    forget,
    living_workers,
    recorded_workers,
)

logger = logging.getLogger(__name__)

#: A worker that lived so long did not die of its start.
_YOUNG_SECONDS = 10.0
#: How long after the start of the server a worker is started that no task has asked for so far.
_REST_SECONDS = 2.0
_LONGEST_BACKOFF_SECONDS = 30.0
#: From so many early deaths on it is said to be a problem.
_ALARMING_DEATHS = 3


class Supervisor:
    """The local worker's employer. As a ``Bus`` it hears which tasks there are."""

    def __init__(self) -> None:
        self._workers: dict[str, WorkerProcess] = {}
        self._started: dict[str, float] = {}
        #: States of the tasks that are not final; pending for those that need no worker.
        self._tasks: dict[str, State] = {}
        self._workerless: set[str] = set()
        self._wake = asyncio.Event()
        self._early_deaths = 0
        self._not_before = 0.0
        #: From when on a worker is to be there even if nothing is queued; None: never.
        self._ready_from: float | None = None
        self._background = Background()

    def tell(self, events: Sequence[Event]) -> None:
        """Follow the states of tasks."""
        for event in events:
            if event.type is EventType.SUBMITTED:
                self._tasks[event.task_id] = State.PENDING
                if event.data.get("kind") in WORKERLESS:
                    self._workerless.add(event.task_id)
            elif event.type in TRANSITIONS:
                self._moved(event.task_id, TRANSITIONS[event.type].target)

    async def start(self, o: Orchestration) -> None:
        """Adopt living workers, settle what dead ones left, and begin to supervise."""
        unfinished = await o.store.unfinished()
        self._workerless = {task.id for task in unfinished if task.kind in WORKERLESS}
        self._tasks = {
            task.id: State.PENDING if task.id in self._workerless else task.state
            for task in unfinished
        }
        recorded = await asyncio.to_thread(recorded_workers, o.settings.state_directory)
        living = await asyncio.to_thread(living_workers, o.settings.state_directory)
        self._workers = {worker.worker_id: worker for worker in living}
        for worker in living:
            logger.info("worker adopted worker=%s pid=%s", worker.worker_id, worker.pid)
        await self._end_families(o, recorded)
        await recover(o, self._workers.keys())
        if o.settings.spare_runners:
            self._ready_from = time.monotonic() + _REST_SECONDS
        self._background.start(self._supervise(o), "supervise")

    async def close(self, grace_seconds: float, *, keeps_kernels: bool = False) -> None:
        """Stop supervising; end idle workers, leave the others at work, and those that keep
        kernels of failed runs."""
        await self._background.close()
        if keeps_kernels or State.RUNNING in self._tasks.values():
            logger.info("worker left at work workers=%s", ",".join(self._workers))
            return
        await asyncio.gather(*(worker.end(grace_seconds) for worker in self._workers.values()))

    @property
    def unfinished_count(self) -> int:
        """How many tasks are not final."""
        return len(self._tasks)

    @property
    def workers(self) -> tuple[WorkerProcess, ...]:
        """The worker processes, of which some may just have died."""
        return tuple(self._workers.values())

    @property
    def problem(self) -> str | None:
        """Why no task is run, if the worker does not stay alive."""
        if self._early_deaths < _ALARMING_DEATHS:
            return None
        return (
            f"The worker process has died {self._early_deaths} times right after its start, so no "
            "task is run; worker.log in the state directory says why."
        )

    def _moved(self, task_id: str, state: State) -> None:
        if state.is_final:
            self._tasks.pop(task_id, None)
            self._workerless.discard(task_id)
            return
        if task_id in self._workerless:
            return
        self._tasks[task_id] = state
        if state is State.QUEUED and not self._workers:
            self._wake.set()

    @property
    def _is_wanted(self) -> bool:
        is_asked_for = State.QUEUED in self._tasks.values()
        if self._ready_from is not None:
            is_asked_for = is_asked_for or time.monotonic() >= self._ready_from
        return not self._workers and is_asked_for

    async def _supervise(self, o: Orchestration) -> None:
        while True:
            self._wake.clear()
            await self._bury(o)
            if self._is_wanted and time.monotonic() >= self._not_before:
                await self._hire(o)
            await self._pause()

    async def _pause(self) -> None:
        """Until a task is queued or it is time to look again."""
        has_to_look = self._workers or self._is_wanted or self._ready_from is not None
        timeout_seconds = POLL_SECONDS if has_to_look else None
        with suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), timeout_seconds)

    async def _hire(self, o: Orchestration) -> None:
        worker_id = f"local-{short(new_id())}"
        starting = asyncio.ensure_future(
            asyncio.to_thread(WorkerProcess.start, o.settings, worker_id)
        )
        try:
            await asyncio.wait({starting})
        finally:  # also where the server stops meanwhile: nobody else would end the worker
            await asyncio.wait({starting})
            self._note_start(worker_id, starting)

    def _note_start(self, worker_id: str, starting: asyncio.Future[WorkerProcess]) -> None:
        try:
            worker = starting.result()
        except OSError:
            logger.exception("worker cannot be started")
            self._slow_down()
            return
        self._workers[worker_id] = worker
        self._started[worker_id] = time.monotonic()
        logger.info("worker started worker=%s pid=%s", worker_id, worker.pid)

    async def _bury(self, o: Orchestration) -> None:
        dead = [worker for worker in self._workers.values() if not worker.is_alive()]
        for worker in dead:
            await asyncio.to_thread(end_family, worker.worker_id)
            try:
                await worker_lost(o, worker.worker_id)
            except Unavailable:
                logger.exception("worker's tasks cannot be settled worker=%s", worker.worker_id)
                return  # it stays on the list until they can
            await asyncio.to_thread(forget, o.settings.state_directory, worker.worker_id)
            self._mourn(worker.worker_id)

    async def _end_families(self, o: Orchestration, recorded: frozenset[str]) -> None:
        """End what workers that died while there was no server have left running."""
        unfinished = await o.store.unfinished()
        named = {task.worker for task in unfinished if task.state is State.RUNNING and task.worker}
        for worker_id in (named | recorded) - self._workers.keys():
            await asyncio.to_thread(end_family, worker_id)

    def _mourn(self, worker_id: str) -> None:
        del self._workers[worker_id]
        age_seconds = time.monotonic() - self._started.pop(worker_id, 0.0)
        logger.warning("worker ended worker=%s age_seconds=%.1f", worker_id, age_seconds)
        if age_seconds < _YOUNG_SECONDS:
            self._slow_down()
        else:
            self._early_deaths = 0

    def _slow_down(self) -> None:
        self._early_deaths += 1
        backoff_seconds = min(0.25 * 2**self._early_deaths, _LONGEST_BACKOFF_SECONDS)
        self._not_before = time.monotonic() + backoff_seconds
