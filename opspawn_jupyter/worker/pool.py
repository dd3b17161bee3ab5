"""The worker's processes of the tier ``pool``: those of one workflow are shared by its steps only.

A process is given some steps ahead, and takes the right to begin each of them (``rights``): whoever
dies or is told to stop at whatever moment, it is known which steps may have run. A step that is to
be ended takes its process along; the others go on in another one. A process that has nothing to do
for a while ends, as does one in which something of a step goes on that is over.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import count, islice
from multiprocessing.process import BaseProcess
from pathlib import Path

import psutil

from opspawn_jupyter.lines import Lines, open_lines
from opspawn_jupyter.model import run_journal
from opspawn_jupyter.model.run_directory import RunDirectory
from opspawn_jupyter.model.work import Assignment
from opspawn_jupyter.runners import processes
from opspawn_jupyter.worker import pool_process
from opspawn_jupyter.worker.launcher import Launcher
from opspawn_jupyter.worker.rights import Rights, right
from opspawn_jupyter.worker.word import Word

#: So many steps lie before a process, at least half of them while there are more.
_AHEAD = 16
_PROCESSES = max(1, os.cpu_count() or 1)
_IDLE_SECONDS = 5.0
#: How often a step may be waiting for a process that dies before it is called lost itself.
_MOST_DEATHS = 5
_log = logging.getLogger(__name__)


@dataclass(eq=False)
class Ticket:
    """One step on its way through a process."""

    assignment: Assignment
    #: Called with what it tells, which stands in its journal; the first is that it has begun.
    hear: Callable[[Word], None]
    #: Called once, when it has an outcome, or when its process died with it under way.
    ended: Callable[[], None]
    #: Number of the last event that was heard.
    number: int = 0
    is_ended: bool = False
    deaths: int = 0
    exit_code: int | None = None
    member: Member | None = None

    def end(self, exit_code: int | None = None) -> None:
        """Nothing more is to be heard of it."""
        self.exit_code = exit_code
        self.is_ended = True
        self.ended()


class Pool:
    """All of them."""

    def __init__(self, launcher: Launcher, worker_id: str) -> None:
        self._launcher = launcher
        self._worker_id = worker_id
        self._members: dict[str, list[Member]] = {}

    def put(self, ticket: Ticket) -> None:
        """Have the step run when its turn comes."""
        members = self._members.setdefault(ticket.assignment.group, [])
        free = min(members, key=lambda member: member.load, default=None)
        if free is None or (free.load and len(members) < _PROCESSES):
            free = Member(self, ticket.assignment.group)
            members.append(free)
        free.put(ticket)

    def relieve(self, idle: Member) -> None:
        """Let no step wait behind another one while a process of the same workflow has nothing to
        do."""
        busiest = max(self._members.get(idle.group, []), key=lambda one: one.load, default=idle)
        if busiest.load > 1:
            for ticket in busiest.surrender():
                idle.put(ticket)

    def leave(self, member: Member) -> None:
        """The process takes no more."""
        members = self._members.get(member.group, [])
        if member in members:
            members.remove(member)
        if not members:
            self._members.pop(member.group, None)

    async def start(self, line: socket.socket, rights: Rights) -> BaseProcess:
        """A new process at the other end of the line."""
        taking = rights.taking
        return await self._launcher.start(pool_process.main, line, taking, self._worker_id)

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
        #: Those that it may begin, or has begun without a word of it yet; in that order.
        self._given: deque[Ticket] = deque()
        self._current: Ticket | None = None
        self._numbers = count(1)
        self._rights = Rights()
        self._line: Lines | None = None
        self._process: psutil.Process | None = None
        self._idle: asyncio.TimerHandle | None = None
        self._is_doomed = False
        #: It has ended unasked, or not come up. Only with 0 it may have done so on purpose.
        self._has_died = True
        self._running = asyncio.ensure_future(self._run())

    @property
    def load(self) -> int:
        """How many steps it has, with those that wait."""
        return len(self._waiting) + len(self._given) + (self._current is not None)

    def put(self, ticket: Ticket) -> None:
        """One step more."""
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        ticket.member = self
        self._waiting.append(ticket)
        self._go_on()

    def stop(self, ticket: Ticket) -> bool:
        """Have the step end, or not begin; whether it has not begun.

        The process takes its rights one after the other: the last one that it has taken is that to
        the step that is at work. A step before it is over, and will say so in a moment.
        """
        self._take_back()
        has_not_begun = ticket in self._waiting
        if has_not_begun:
            self._waiting.remove(ticket)
        if ticket is (self._given[-1] if self._given else self._current):
            self.kill()
        self._go_on()
        return has_not_begun

    def surrender(self) -> list[Ticket]:
        """Half of those that have not begun, of which at least one; they will not here."""
        self._take_back()
        kept = len(self._waiting) // 2
        given_up = list(self._waiting)[kept:]
        self._waiting = deque(list(self._waiting)[:kept])
        self._go_on()
        return given_up

    def kill(self) -> None:
        """End the process with all that its steps have started."""
        self._is_doomed = True
        self._pool.leave(self)
        if self._process is not None and self._process.is_running():
            processes.kill_session(self._process.pid, [self._process])

    def _go_on(self) -> None:
        """Have steps before the process, where it is up."""
        if self._line is None or not self._line.is_open or self._is_doomed:
            return
        if not self.load:
            self._pool.relieve(self)
        if not self.load and self._idle is None:
            self._idle = asyncio.get_running_loop().call_later(_IDLE_SECONDS, self.kill)
        if self._waiting and len(self._given) <= _AHEAD // 2:
            room = min(_AHEAD - len(self._given), len(self._waiting))
            self._give(self._line, [self._waiting.popleft() for _ in range(room)])

    def _give(self, line: Lines, tickets: Sequence[Ticket]) -> None:
        self._given.extend(tickets)
        rights = [right(number) for number in islice(self._numbers, len(tickets))]
        each = zip(rights, tickets, strict=True)
        line.say(b"".join([pool_process.sent(one, ticket.assignment) for one, ticket in each]))
        self._rights.give(rights)

    def _take_back(self) -> None:
        """Let none begin any more that has not begun."""
        for _ in range(self._rights.take_back()):
            self._waiting.appendleft(self._given.pop())

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
            process = await self._pool.start(theirs, self._rights)
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
        """One step after the other, in the order in which they were given."""
        for word in map(Word.of, told):
            if word.has_begun:
                self._current = self._given.popleft()
            ticket = self._current
            if ticket is None:
                continue  # a thread of a step that is over
            ticket.number = max(ticket.number, word.number)
            ticket.hear(word)
            if word.is_over:
                self._current = None
                ticket.end()
        self._go_on()

    def _pass_on(self, exit_code: int | None) -> None:
        """What was under way has ended with the process; the rest goes on in another one."""
        self._take_back()
        self._rights.close()
        taken = [*self._given, *([self._current] if self._current else [])]
        self._given.clear()
        self._current = None
        for ticket in taken:
            if ticket.number or run_journal.events(_journal(ticket), ticket.assignment.attempt):
                ticket.end(exit_code)
            else:  # it had taken the right, and died before it used it
                self._waiting.appendleft(ticket)
        for ticket in self._waiting:
            ticket.deaths += self._has_died and exit_code != 0
            if ticket.deaths >= _MOST_DEATHS:
                ticket.end(exit_code)
            else:
                self._pool.put(ticket)


def _journal(ticket: Ticket) -> Path:
    """What its process has put down, told or not."""
    return RunDirectory(Path(ticket.assignment.run_directory)).events
