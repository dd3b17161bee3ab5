"""Cells that run in the fork server before any fork, so that no kernel runs its code cold.

Python notes on its code what it finds out while it runs: in which dictionary a name is, what a
class has, which step of a function does what to which types. A kernel of three cells ends before
that is of use to it. What the fork server has found out is there in each of its forks.
"""

from __future__ import annotations

import asyncio
import gc
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from tornado.ioloop import IOLoop

from . import direct
from .exercise import REQUESTS

#: Python looks at a function again until it has been called some dozen times.
_ROUNDS = 16
_READ_BYTES = 1 << 16


def practise(arguments: Sequence[str]) -> None:
    """Bring a kernel up as far as that goes before a fork, and have it run cells that leave no
    trace. No loop, file or thread of it is left."""
    streams = sys.stdout, sys.stderr
    try:
        app = direct.prepare(arguments)
        with _a_loop(), _a_client(app) as client:
            for _ in range(_ROUNDS):
                app.exercise(REQUESTS)
                _read(client)
    finally:
        sys.stdout, sys.stderr = streams
    gc.collect()


@contextmanager
def _a_client(app: direct.DirectKernelApp) -> Iterator[socket.socket]:
    here, there = socket.socketpair()
    here.setblocking(False)
    app.line.attach(there.detach())
    try:
        yield here
    finally:
        app.line.close()
        here.close()


def _read(client: socket.socket) -> None:
    with suppress(BlockingIOError):
        while client.recv(_READ_BYTES):
            pass


@contextmanager
def _a_loop() -> Iterator[None]:
    asyncio.set_event_loop(asyncio.new_event_loop())
    try:
        yield
    finally:
        IOLoop.current().close()
        asyncio.set_event_loop(None)
        if sys.version_info < (3, 14):  # as if there had been none: who asks for one gets it
            asyncio.set_event_loop_policy(asyncio.DefaultEventLoopPolicy())
