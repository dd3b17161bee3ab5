"""The worker: takes tasks, runs them, reports, and knows when to leave."""

from __future__ import annotations

import asyncio
import logging
import os
from collections import deque
from collections.abc import Coroutine, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from opspawn_jupyter import faults, files, timeline
from opspawn_jupyter.model import wire
from opspawn_jupyter.model.notebook import is_pooled
from opspawn_jupyter.model.work import (
    POOLED_PER_SLOT,
    Assignment,
    Grace,
    ReportAnswer,
    TakeAnswer,
    TakeRequest,
)
from opspawn_jupyter.runners import sockets
from opspawn_jupyter.version import __version__
from opspawn_jupyter.worker.attempt import Attempt
from opspawn_jupyter.worker.fork_servers import ForkServers
from opspawn_jupyter.worker.kept import KeptKernels
from opspawn_jupyter.worker.launcher import Launcher
from opspawn_jupyter.worker.link import Link
from opspawn_jupyter.worker.outbox import Outbox
from opspawn_jupyter.worker.pool import Pool
from opspawn_jupyter.worker.pooled import PooledAttempt
from opspawn_jupyter.worker.spares import SpareRunners

#: A short run is over by then, and all of it is told at once.
_REPORT_PAUSE_SECONDS = 0.1
_REPORT_TIMEOUT_SECONDS = 60.0
_WAIT_SECONDS = 20.0
_FULL_PAUSE_SECONDS = 0.05
_LOOK_SECONDS = 0.2
#: A request that was left is answered while the next one is; without a server, none is.
_MOST_LEFT = 3
#: What the last reports get once somebody has told the worker to end.
_FAREWELL_SECONDS = 3.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class WorkerSettings:
    """How a worker is set up; from its command line."""

    state_directory: Path
    worker_id: str
    #: How many tasks it runs at once.
    slots: int
    grace: Grace = field(default_factory=Grace)
    #: How many runner processes wait for a task.
    spare_runners: int = 0
    #: How long it waits for a server once it has nothing to do.
    lonely_seconds: float = 60.0


class Worker:
    """One worker process's work, in one event loop."""

    def __init__(self, settings: WorkerSettings) -> None:
        self._settings = settings
        self._outbox = Outbox()
        self._fork_servers = ForkServers()
        self._launcher = Launcher()
        self._spares = SpareRunners(
            self._launcher, settings.grace, settings.spare_runners, room=settings.slots
        )
        self._kept = KeptKernels(
            settings.state_directory / "kernels", self._launcher, settings.grace
        )
        self._link = Link(settings.state_directory, settings.worker_id)
        self._pool = Pool(self._launcher, settings.worker_id)
        self._attempts: dict[str, Attempt | PooledAttempt] = {}
        #: How many of them share a slot with others.
        self._pooled = 0
        #: Next attempts of tasks whose last one is still being cleared away.
        self._next: dict[str, Assignment] = {}
        self._running: set[asyncio.Task[None]] = set()
        self._told_to_cancel: set[str] = set()
        self._slot_freed = asyncio.Event()
        #: The last requests for work, of which some were left before their answer.
        self._left: deque[asyncio.Future[TakeAnswer]] = deque()
        self._is_ending = asyncio.Event()

    async def run(self) -> None:
        """Work until there is no more reason to."""
        record = self._settings.state_directory / "workers" / f"{self._settings.worker_id}.json"
        _write_record(record, self._fork_servers.directory)
        sockets.sweep()
        loops = [
            asyncio.ensure_future(loop)
            for loop in (self._take(), self._report(), self._wait_for_the_end())
        ]
        try:
            self._fork_servers.warm_up()
            await self._launcher.warm_up()
            self._spares.start()
            await asyncio.wait(loops, return_when=asyncio.FIRST_COMPLETED)
            for loop in loops:
                if loop.done():
                    loop.result()  # a fault in one of them ends the worker, loudly
        finally:
            for loop in loops:
                loop.cancel()
            await asyncio.gather(*loops, return_exceptions=True)
            self._pool.close()
            await self._spares.close()
            await self._kept.close()
            self._link.close()
            self._launcher.close()
            self._fork_servers.close()
            record.unlink(missing_ok=True)

    def end(self) -> None:
        """End everything that runs, report it, and leave. What SIGTERM does."""
        for attempt in list(self._attempts.values()):  # some of them leave at once
            attempt.abandon("The worker was told to end.")
        self._is_ending.set()

    async def _take(self) -> None:
        while True:
            await self._pause_when_full()
            answer = await self._ask()
            if answer is None:
                continue
            for assignment in answer.assignments:
                self._start(assignment)
            self._cancel(answer.cancel)
            await asyncio.sleep(0)  # runners are told before more is asked for

    async def _pause_when_full(self) -> None:
        """With many short tasks a slot is free again before it was worth while to ask for none,
        which is only to be told what to cancel."""
        if self._free_slots:
            return
        self._slot_freed.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(_FULL_PAUSE_SECONDS):
                await self._slot_freed.wait()

    async def _ask(self) -> TakeAnswer | None:
        """The server's answer; None where a slot became free while it was asked for none.

        Only such a request is left: one that offered slots may bring an assignment. The server
        answers it when it is asked anew, and would say again what it said there.
        """
        request = self._request()
        self._slot_freed.clear()
        call = self._link.call("take", wire.to_json(request), TakeAnswer, request.wait_seconds + 10)
        return await (call if request.free_slots else self._until_freed(call))

    async def _until_freed(self, call: Coroutine[Any, Any, TakeAnswer]) -> TakeAnswer | None:
        asking = asyncio.ensure_future(call)
        freed = asyncio.ensure_future(self._slot_freed.wait())
        try:
            await asyncio.wait({asking, freed}, return_when=asyncio.FIRST_COMPLETED)
            return asking.result() if asking.done() else None
        finally:
            freed.cancel()
            self._left.append(asking)
            if len(self._left) > _MOST_LEFT:
                self._left.popleft().cancel()

    def _request(self) -> TakeRequest:
        running = {task_id: one.assignment.attempt for task_id, one in self._attempts.items()}
        coming = {task_id: assignment.attempt for task_id, assignment in self._next.items()}
        held = {**self._outbox.attempts, **running, **coming}
        self._told_to_cancel &= held.keys()
        return TakeRequest(
            free_slots=self._free_slots,
            held=held,
            cancelling=tuple(sorted(self._told_to_cancel)),
            wait_seconds=_WAIT_SECONDS,
        )

    @property
    def _free_slots(self) -> int:
        if self._is_ending.is_set():
            return 0
        taken = len(self._attempts) - self._pooled + -(-self._pooled // POOLED_PER_SLOT)
        return max(0, self._settings.slots - taken)

    def _start(self, assignment: Assignment) -> None:
        if self._is_ending.is_set():
            return
        earlier = self._attempts.get(assignment.task_id)
        if earlier is not None:
            if earlier.assignment.attempt < assignment.attempt:
                self._next[assignment.task_id] = assignment
            return
        timeline.reach("worker.taken")
        faults.reach("worker.before_start")
        self._told_to_cancel.discard(assignment.task_id)  # that was said of an earlier attempt
        attempt = self._attempt(assignment)
        self._attempts[assignment.task_id] = attempt
        if isinstance(attempt, PooledAttempt):
            self._pooled += 1
            attempt.begin(partial(self._leave_pooled, attempt))
            return
        self._keep_running(attempt)
        # Behind its first steps, by which a runner that waits has it.
        asyncio.get_running_loop().call_soon(
            _log.info, "task started task_id=%s", assignment.task_id
        )

    def _keep_running(self, attempt: Attempt | PooledAttempt) -> None:
        running = asyncio.ensure_future(self._run(attempt))
        self._running.add(running)
        running.add_done_callback(self._running.discard)

    def _attempt(self, assignment: Assignment) -> Attempt | PooledAttempt:
        if is_pooled(assignment.spec):
            return PooledAttempt(
                assignment,
                worker_id=self._settings.worker_id,
                pool=self._pool,
                outbox=self._outbox,
            )
        return Attempt(
            assignment,
            worker_id=self._settings.worker_id,
            grace=self._settings.grace,
            launcher=self._launcher,
            spares=self._spares,
            fork_servers=self._fork_servers,
            outbox=self._outbox,
        )

    async def _run(self, attempt: Attempt | PooledAttempt) -> None:
        task_id = attempt.assignment.task_id
        try:
            await attempt.run()
            if attempt.kept is not None:
                self._kept.add(attempt.kept, attempt.assignment.keeping.kernels)
        except Exception:  # a fault of ours must not take the other tasks along
            _log.exception("attempt broke task_id=%s", task_id)
        finally:
            self._leave(attempt)
        if not isinstance(attempt, PooledAttempt):
            _log.info("task ended task_id=%s", task_id)

    def _leave_pooled(self, attempt: PooledAttempt) -> None:
        """Small steps come by the hundred: one that was told to its end needs nothing more."""
        if attempt.is_over:
            self._leave(attempt)
        else:
            self._keep_running(attempt)

    def _leave(self, attempt: Attempt | PooledAttempt) -> None:
        task_id = attempt.assignment.task_id
        del self._attempts[task_id]
        self._pooled -= isinstance(attempt, PooledAttempt)
        if task_id in self._next:
            self._start(self._next.pop(task_id))
        if self._free_slots:
            self._slot_freed.set()

    def _cancel(self, task_ids: Iterable[str]) -> None:
        for task_id in task_ids:
            self._told_to_cancel.add(task_id)
            self._next.pop(task_id, None)
            if task_id in self._attempts:
                self._attempts[task_id].cancel()

    async def _report(self) -> None:
        while True:
            await self._outbox.filled()
            await self._outbox.gather(_REPORT_PAUSE_SECONDS)
            request = self._outbox.collect()
            try:
                answer = await self._link.call(
                    "reports", request, ReportAnswer, _REPORT_TIMEOUT_SECONDS
                )
            except BaseException:
                self._outbox.put_back()
                raise
            faults.reach("worker.before_delivered")
            self._outbox.delivered()
            self._drop(answer.unknown)

    def _drop(self, task_ids: Iterable[str]) -> None:
        """The server's memory lacks these tasks: nobody waits for them."""
        for task_id in task_ids:
            _log.warning("task unknown to the server task_id=%s", task_id)
            self._outbox.forget(task_id)
        self._cancel(task_ids)

    async def _wait_for_the_end(self) -> None:
        while not self._may_leave():  # noqa: ASYNC110  # time that passes is what counts
            await asyncio.sleep(_LOOK_SECONDS)
        if self._is_ending.is_set():
            await self._say_farewell()

    def _may_leave(self) -> bool:
        if self._attempts or (self._kept.count and not self._is_ending.is_set()):
            return False
        if self._is_ending.is_set():
            return True
        # What is not reported then lies in the journals, where a server looks for it.
        return self._link.lost_seconds > self._settings.lonely_seconds

    async def _say_farewell(self) -> None:
        try:
            async with asyncio.timeout(_FAREWELL_SECONDS):
                await self._outbox.emptied()
        except TimeoutError:
            _log.warning("left without reporting tasks=%s", ",".join(self._outbox.attempts))


def _write_record(path: Path, fork_servers: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    created = psutil.Process().create_time()
    record = {
        "pid": os.getpid(),
        "created": created,
        "version": __version__,
        "fork_servers": str(fork_servers),
    }
    files.write_json(path, record, mode=0o600)
