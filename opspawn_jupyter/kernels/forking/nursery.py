"""Kernels that are up and wait for a client."""

from __future__ import annotations

import gc
import itertools
import logging
import os
import selectors
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from . import ipc_files, kernel, pages, trial, wire
from .exercise import REQUESTS, Request
from .options import Options
from .surroundings import Surroundings

log = logging.getLogger("opspawn_forking")

#: New spares are made a little after one was taken, so that its first cell has the processor to
#: itself; sooner where none is left.
_REST_SECONDS = 0.2
_SHORT_REST_SECONDS = 0.05
#: After so many spares in a row that did not come up, no more are tried.
_MAX_FAILURES = 3

#: Brings up, in the fork, what is to wait; the second argument is where it can be reached.
BringUp = Callable[[Options, str], kernel.ForkedKernelApp]
#: Has it run cells, where there is time to touch the memory that a client's first cell will need.
Exercise = Callable[[Any, Sequence[Request]], None]
#: Forks; the child has that memory to itself, runs the function, and never returns from it.
Fork = Callable[[Callable[[], NoReturn], pages.Pages], int]


@dataclass
class Spare:
    """One of them."""

    pid: int
    line: socket.socket
    prefix: str
    connection: dict[str, Any] | None = None
    #: What the kernel says of itself.
    info: dict[str, Any] | None = None


class Nursery:
    """Keeps the configured number of spares up."""

    def __init__(
        self,
        *,
        options: Options,
        prefix: str,
        selector: selectors.BaseSelector,
        fork: Fork,
        surroundings: Surroundings,
        on_change: Callable[[], None],
        bring_up: BringUp,
        exercise: Exercise,
        is_wanted: bool = True,
    ) -> None:
        self._options = options
        self._prefix = prefix
        self._selector = selector
        self._fork = fork
        self._surroundings = surroundings
        self._on_change = on_change
        self._bring_up = bring_up
        self._exercise = exercise
        self._pages = pages.Pages()
        #: Spares are kept from the first client on that asks for one.
        self._is_wanted = is_wanted
        self._numbers = itertools.count(1)
        self._spares: dict[int, Spare] = {}
        self._failures = 0
        self._not_before = 0.0
        self._taken_at = 0.0

    def rehearse(self) -> None:
        """Learn which memory a kernel writes to, by the life of one that nobody gets."""
        prefix = f"{self._prefix}.0"
        self._pages = pages.learn(self._fork, lambda: self._live_alone(prefix))
        ipc_files.remove(prefix)
        log.info("rehearsed prefix=%s bytes=%s", prefix, self._pages.size_bytes)

    @property
    def addresses(self) -> dict[int, str]:
        """All that exist, up or coming up: process and ipc address."""
        return {spare.pid: spare.prefix for spare in self._spares.values()}

    @property
    def works(self) -> bool:
        """Whether spares can be had at all."""
        return self._options.spares > 0 and self._failures < _MAX_FAILURES

    def seconds_to_work(self, wanted: int) -> float | None:
        """How long until ``top_up`` has something to do."""
        self._is_wanted = self._is_wanted or wanted > 0
        kept = self._options.spares if self._is_wanted else 0
        if not self.works or len(self._spares) >= max(kept, wanted):
            return None
        return 0.0 if wanted > len(self._spares) else max(0.0, self._not_before - time.monotonic())

    def top_up(self, wanted: int) -> None:
        """Make spares, at once as many as clients wait for, the rest after a moment."""
        while self.seconds_to_work(wanted) == 0.0:
            is_quiet = time.monotonic() >= self._taken_at + _REST_SECONDS
            self._make(has_time=is_quiet and wanted <= len(self._spares))

    def take(self) -> Spare | None:
        """One that is up; it is then the caller's."""
        for spare in self._spares.values():
            if spare.connection is not None:
                self._remove(spare)
                rest = _REST_SECONDS if self._spares else _SHORT_REST_SECONDS
                self._taken_at = time.monotonic()
                self._not_before = self._taken_at + rest
                return spare
        return None

    def died(self, pid: int) -> bool:
        """A process has ended; whether it was a spare."""
        spare = self._spares.get(pid)
        if spare is not None:
            self._lose(spare)
        return spare is not None

    def _remove(self, spare: Spare) -> None:
        del self._spares[spare.pid]
        self._selector.unregister(spare.line)

    def _lose(self, spare: Spare) -> None:
        self._failures += 1
        log.warning("spare kernel died pid=%s failures=%s", spare.pid, self._failures)
        self._remove(spare)
        spare.line.close()
        self._on_change()  # who waited for it must not wait for ever

    def _make(self, *, has_time: bool) -> None:
        here, there = wire.pair()
        prefix = f"{self._prefix}.{next(self._numbers)}"
        pid = self._fork(lambda: self._live(here, there, prefix, has_time), self._pages)
        there.close()
        spare = Spare(pid=pid, line=here, prefix=prefix)
        self._spares[pid] = spare
        self._selector.register(here, selectors.EVENT_READ, lambda: self._hear(spare))

    def _hear(self, spare: Spare) -> None:
        message, _ = wire.receive(spare.line)
        if message is None:
            self._lose(spare)
            return
        self._failures = 0
        spare.connection, spare.info = message["connection"], message["info"]
        self._on_change()

    def _live(
        self, server: socket.socket, line: socket.socket, prefix: str, has_time: bool
    ) -> NoReturn:
        """In the fork: come up, wait for a client, serve it."""
        server.close()
        app = self._bring_up(self._options, prefix)
        if has_time:
            self._exercise(app, REQUESTS)
        gc.freeze()
        wire.send(line, {"connection": dict(app.connection()), "info": app.info()})
        order, files = wire.receive(line)
        if order is None:
            os._exit(0)
        self._surroundings.adopt(order)
        app.take(files)
        app.serve_client(order["connection_file"])
        kernel.run(app, lambda status: wire.send(line, {"ending": status}))

    def _live_alone(self, prefix: str) -> None:
        """In a fork, the same without a client."""
        app = self._bring_up(self._options, prefix)
        self._exercise(app, REQUESTS)
        gc.freeze()
        trial.live(app, self._exercise, self._surroundings)
