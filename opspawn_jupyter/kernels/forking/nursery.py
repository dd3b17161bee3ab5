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
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NoReturn

from . import ipc_files, kernel, pages, trial, wire
from .app import ForkedKernelApp
from .client import Client
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
BringUp = Callable[[Options, str], ForkedKernelApp]
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
    #: So many descriptors it takes beside its standard streams.
    lines: int = 0


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
        #: What the first one said once it was up. All say the same of themselves.
        self._greeting: wire.Message | None = None
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

    def take(self, client: Client) -> Spare | None:
        """One that has got the client's order; it is then the caller's. None where the client has
        to wait until one is up."""
        spare = next((s for s in self._spares.values() if s.connection is not None), None)
        if spare is None and not self._is_foreseen:
            return None
        order, files = client.take_order()
        if spare is None:
            spare = self._make_for(order, files)
        else:
            self._remove(spare)
            with suppress(OSError):  # it has just died, which its client is told
                wire.send(spare.line, order, files)
        for file in files:
            os.close(file)
        self._rest()
        return spare

    @property
    def _is_foreseen(self) -> bool:
        """Whether there is nothing to hear from the next one before it is given away: how to reach
        it, and what it is. Nobody reaches a kernel that has no sockets but by the client's line."""
        return self.works and self._greeting is not None and not self._greeting["connection"]

    def _rest(self) -> None:
        rest = _REST_SECONDS if self._spares else _SHORT_REST_SECONDS
        self._taken_at = time.monotonic()
        self._not_before = self._taken_at + rest

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
        spare = self._beget(lambda line, prefix: self._live(line, prefix, has_time=has_time))
        self._spares[spare.pid] = spare
        self._selector.register(spare.line, selectors.EVENT_READ, lambda: self._hear(spare))

    def _make_for(self, order: wire.Message, files: Sequence[int]) -> Spare:
        """One that comes up with its order, so that neither is waited for nor told."""
        spare = self._beget(lambda line, prefix: self._live_for(line, prefix, order, files))
        self._note(spare, {})
        return spare

    def _beget(self, live: Callable[[socket.socket, str], NoReturn]) -> Spare:
        here, there = wire.pair()
        prefix = f"{self._prefix}.{next(self._numbers)}"

        def begin() -> NoReturn:
            here.close()
            live(there, prefix)

        pid = self._fork(begin, self._pages)
        there.close()
        return Spare(pid=pid, line=here, prefix=prefix)

    def _hear(self, spare: Spare) -> None:
        message, _ = wire.receive(spare.line)
        if message is None:
            self._lose(spare)
            return
        self._failures = 0
        self._note(spare, message)
        self._on_change()

    def _note(self, spare: Spare, greeting: wire.Message) -> None:
        self._greeting = self._greeting or greeting
        told = {**self._greeting, **greeting}
        spare.connection, spare.info = told["connection"], told["info"]
        spare.lines = told["lines"]

    def _live(self, line: socket.socket, prefix: str, *, has_time: bool) -> NoReturn:
        """In the fork: come up, wait for a client, serve it."""
        app = self._bring_up(self._options, prefix)
        if has_time:
            self._exercise(app, REQUESTS)
        gc.freeze()
        own = {} if self._greeting else {"info": app.info(), "lines": app.lines}
        wire.send(line, {"connection": dict(app.connection()), **own})
        order, files = wire.receive(line)
        if order is None:
            os._exit(0)
        self._serve(app, line, order, files)

    def _live_for(
        self, line: socket.socket, prefix: str, order: wire.Message, files: Sequence[int]
    ) -> NoReturn:
        """In the fork: come up, and serve this client."""
        app = self._bring_up(self._options, prefix)
        gc.freeze()
        self._serve(app, line, order, files)

    def _serve(
        self,
        app: ForkedKernelApp,
        line: socket.socket,
        order: wire.Message,
        files: Sequence[int],
    ) -> NoReturn:
        self._surroundings.adopt(order)
        app.take(files)
        app.serve_client(order["connection_file"], order.get("kernel_name", ""))
        kernel.run(app, lambda status: wire.send(line, {"ending": status}))

    def _live_alone(self, prefix: str) -> None:
        """In a fork, the same without a client."""
        app = self._bring_up(self._options, prefix)
        self._exercise(app, REQUESTS)
        gc.freeze()
        trial.live(app, self._exercise, self._surroundings)
