"""Runner processes that are up before there is a task for them.

A fork of papermill's imports takes milliseconds, but its memory is the fork server's until it is
touched, and each page costs as it is. A spare runner has all that behind it: it has prepared,
run and saved a notebook of its own, holds no task's environment or files, and waits for its line
to say what it is to do. When it has done that, and is as it was before, it waits again.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.process import BaseProcess

import psutil

from opspawn_jupyter.lines import Lines, open_lines
from opspawn_jupyter.model.work import Grace
from opspawn_jupyter.worker import child
from opspawn_jupyter.worker.launcher import Launcher

#: New spares are made once none was asked for during this time: the tasks that run have the
#: processors to themselves, and many tasks at once are better served without, because to warm a
#: spare up takes more than it gives to one task. It comes sooner where none waits at all.
_REST_SECONDS = 1.0
_SHORT_REST_SECONDS = 0.2
_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class RunnerProcess:
    """One of them, with the way to it."""

    process: BaseProcess
    #: For signals that must not hit a successor of its number; None where it has ended already.
    handle: psutil.Process | None
    line: Lines

    @property
    def is_waiting(self) -> bool:
        """It lives, as far as anybody can know; a dead one has closed its line."""
        return self.line.is_quiet


class SpareRunners:
    """Keeps so many of them up."""

    def __init__(self, launcher: Launcher, grace: Grace, count: int, room: int = 0) -> None:
        self._launcher = launcher
        self._grace = grace
        self._count = count
        #: How many may wait for a moment while tasks come one after the other.
        self._room = max(count, room) if count else 0
        self._waiting: deque[RunnerProcess] = deque()
        self._taken_at = -_REST_SECONDS
        self._filling: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> tuple[RunnerProcess, ...]:
        """Those that are up, the next to be taken first."""
        return tuple(self._waiting)

    def start(self) -> None:
        """Have them come up."""
        self._fill_soon()

    async def take(self) -> RunnerProcess:
        """One that is up, or else a new one; it is then the caller's."""
        self._taken_at = asyncio.get_running_loop().time()
        self._fill_soon()
        while self._waiting:
            runner = self._waiting.popleft()
            if runner.is_waiting:
                return runner
            _log.warning("spare runner died pid=%s", runner.process.pid)
            runner.line.close()
        return await self._make()

    def give_back(self, runner: RunnerProcess) -> bool:
        """Let one that waits again wait here; False where there are enough."""
        if len(self._waiting) >= self._room:
            return False
        self._waiting.appendleft(runner)
        self._fill_soon()
        return True

    async def close(self) -> None:
        """Hang up; a spare ends when it hears that."""
        self._count = self._room = 0
        if self._filling is not None:
            self._filling.cancel()
            with suppress(asyncio.CancelledError):
                await self._filling
        while self._waiting:
            self._waiting.popleft().line.close()

    def _fill_soon(self) -> None:
        if self._filling is None or self._filling.done():
            self._filling = asyncio.ensure_future(self._fill())

    async def _fill(self) -> None:
        await self._rest()
        while len(self._waiting) > self._count:
            self._waiting.pop().line.close()
        try:
            while len(self._waiting) < self._count:
                self._waiting.append(await self._make())
                await self._rest()
        except OSError:  # no memory or no process to be had; a task that needs one tries itself
            _log.exception("spare runner cannot be started")

    async def _rest(self) -> None:
        loop = asyncio.get_running_loop()
        while (seconds := self._rested_at - loop.time()) > 0:  # noqa: ASYNC110  time counts
            await asyncio.sleep(min(seconds, _SHORT_REST_SECONDS))

    @property
    def _rested_at(self) -> float:
        return self._taken_at + (_REST_SECONDS if self._waiting else _SHORT_REST_SECONDS)

    async def _make(self) -> RunnerProcess:
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                process = await self._launcher.start(child.main, theirs, self._grace)
            except BaseException:
                ours.close()
                raise
        try:
            handle = psutil.Process(process.pid)
        except psutil.NoSuchProcess:
            handle = None
        return RunnerProcess(process=process, handle=handle, line=await open_lines(ours))
