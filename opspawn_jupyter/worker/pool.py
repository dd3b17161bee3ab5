"""The worker's processes of the tier ``pool``: those of one workflow are shared by its steps only.

A process is given one step at a time, and the step counts as started from then on: whoever dies or
is told to stop at whatever moment, it is known which steps may have run. A step that is to be ended
takes its process along; the others wait here, and go on in another one. A process that has nothing
to do for a while ends.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess

import psutil

from opspawn_jupyter.lines import Lines, open_lines
from opspawn_jupyter.model.states import OUTCOME_EVENTS
from opspawn_jupyter.model.work import Assignment
from opspawn_jupyter.runners import processes
from opspawn_jupyter.worker import pool_process
from opspawn_jupyter.worker.launcher import Launcher

_PROCESSES = max(1, os.cpu_count() or 1)
_IDLE_SECONDS = 5.0
#: How often a step may be waiting for a process that dies before it is called lost itself.
_MOST_DEATHS = 5
_OUTCOMES = frozenset(OUTCOME_EVENTS.values())
_log = logging.getLogger(__name__)


@dataclass
class Ticket:
    """One step on its way through a process."""

    assignment: Assignment
    #: Called before its process is given it.
    begin: Callable[[], None]
    hear: Callable[..., None]
    #: Set when it has an outcome, or when its process died with it under way.
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    has_begun: bool = False
    deaths: int = 0
    exit_code: int | None = None
    member: Member | None = None


class Pool:
    """All of them."""

    def __init__(self, launcher: Launcher) -> None:
        self._launcher = launcher
        self._members: dict[str, list[Member]] = {}

    def put(self, ticket: Ticket) -> None:
        """Have the step run when its turn comes."""
        members = self._members.setdefault(ticket.assignment.group, [])
        free = min(members, key=lambda member: member.load, default=None)
        if free is None or (free.load and len(members) < _PROCESSES):
            free = Member(self, ticket.assignment.group)
            members.append(free)
        free.put(ticket)

    def leave(self, member: Member) -> None:
        """The process takes no more."""
        members = self._members.get(member.group, [])
        if member in members:
            members.remove(member)
        if not members:
            self._members.pop(member.group, None)

    async def start(self, line: socket.socket) -> BaseProcess:
        """A new process at the other end of the line."""
        return await self._launcher.start(pool_process.main, line)

    async def exit_code(self, process: BaseProcess) -> int | None:
        """How it ended, which it is about to."""
        return await self._launcher.exit_code(process, _IDLE_SECONDS)

    def close(self) -> None:
        """End all of them."""
        for members in list(self._members.values()):
            for member in list(members):
                member.kill()


class Member:
    """One process."""

    def __init__(self, pool: Pool, group: str) -> None:
        self.group = group
        self._pool = pool
        self._waiting: deque[Ticket] = deque()
        self._current: Ticket | None = None
        self._line: Lines | None = None
        self._process: psutil.Process | None = None
        self._idle: asyncio.TimerHandle | None = None
        self._is_doomed = False
        #: It has ended by itself, or not come up.
        self._has_died = True
        self._running = asyncio.ensure_future(self._run())

    @property
    def load(self) -> int:
        """How many steps it has, with those that wait."""
        return len(self._waiting) + (self._current is not None)

    def put(self, ticket: Ticket) -> None:
        """One step more."""
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        ticket.member = self
        self._waiting.append(ticket)
        self._go_on()

    def forget(self, ticket: Ticket) -> None:
        """The step is not wanted any more; it has not begun."""
        self._waiting.remove(ticket)
        self._go_on()

    def kill(self) -> None:
        """End the process with all that its steps have started."""
        self._is_doomed = True
        self._pool.leave(self)
        if self._process is not None and self._process.is_running():
            processes.kill_session(self._process.pid, [self._process])

    def _go_on(self) -> None:
        """Begin the next step, where the process is up and has none."""
        if self._line is None or not self._line.is_open or self._is_doomed or self._current:
            return
        if not self._waiting:
            self._idle = asyncio.get_running_loop().call_later(_IDLE_SECONDS, self.kill)
            return
        ticket = self._current = self._waiting.popleft()
        ticket.has_begun = True
        ticket.begin()
        self._line.say(pool_process.sent(ticket.assignment))

    async def _run(self) -> None:
        exit_code: int | None = None
        try:
            exit_code = await self._live()
        except Exception:  # whatever broke, the steps in it must go on or get their outcome
            _log.exception("process of a pool lost group=%s", self.group)
        finally:
            self._pool.leave(self)
            if self._idle is not None:
                self._idle.cancel()
            self._pass_on(exit_code)

    async def _live(self) -> int | None:
        ours, theirs = socket.socketpair()
        with theirs:
            process = await self._pool.start(theirs)
        with suppress(psutil.NoSuchProcess):
            self._process = psutil.Process(process.pid)
        is_lost = asyncio.Event()
        self._line = await open_lines(ours, self._hear, is_lost.set)
        if self._is_doomed:
            self.kill()
        self._go_on()
        try:
            await is_lost.wait()
        finally:
            self._has_died = not self._is_doomed
            self._line.close()
            self.kill()
        return await self._pool.exit_code(process)

    def _hear(self, told: Sequence[bytes]) -> None:
        """All of one step: the process has the next once it has told how this one ended."""
        ticket, events = self._current, [pool_process.heard(line) for line in told]
        if ticket is None:
            return
        ticket.hear(*events)
        if any(event.type in _OUTCOMES for event in events):
            self._current = None
            ticket.ended.set()
            self._go_on()

    def _pass_on(self, exit_code: int | None) -> None:
        """What was under way has ended with the process; the rest goes on in another one."""
        if self._current is not None:
            self._current.exit_code = exit_code
            self._current.ended.set()
        for ticket in self._waiting:
            ticket.deaths += self._has_died
            if ticket.deaths >= _MOST_DEATHS:
                ticket.exit_code = exit_code
                ticket.ended.set()
            else:
                self._pool.put(ticket)
