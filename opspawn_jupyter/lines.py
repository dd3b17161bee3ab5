"""Lines over a stream socket, told as they come.

All at once that came together: who hears them can deal with many as with one, and no task has to
wake up for each. They are read into a buffer that is there: asyncio's own readers make one of 256
kB for each arrival, which takes ten times as long as the arrival.
"""

from __future__ import annotations

import asyncio
import os
import select
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TypeAlias

#: Longest line: an output bundle of 256 kB, a step value, a plan of many cells, a page of reports.
LINE_LIMIT = 64 << 20
_BUFFER_BYTES = 64 << 10

#: Is given whole lines, without their ends.
Hear: TypeAlias = Callable[[Sequence[bytes]], None]


def _ignore(_: Sequence[bytes]) -> None:
    """Nobody listens."""


def _shrug() -> None:
    """Nobody waits for the end."""


class Lines(asyncio.BufferedProtocol):
    """One end of a socket. ``lost`` is called once, when nothing more can come."""

    def __init__(self, hear: Hear = _ignore, lost: Callable[[], None] = _shrug) -> None:
        self._hear = hear
        self._lost = lost
        self._is_lost = False
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray(_BUFFER_BYTES)
        #: A line whose end has not come yet.
        self._begun: list[bytes] = []
        self._begun_bytes = 0

    @property
    def is_open(self) -> bool:
        """Something can be said."""
        return self._transport is not None and not self._transport.is_closing()

    @property
    def is_quiet(self) -> bool:
        """It is open, and neither something nor the end has come that was not heard of yet."""
        if self._transport is None or self._transport.is_closing():
            return False
        return not select.select([self._transport.get_extra_info("socket")], [], [], 0)[0]

    def listen(self, hear: Hear, lost: Callable[[], None]) -> None:
        """Tell these from now on, also of an end that has come."""
        self._hear, self._lost = hear, lost
        if self._is_lost:
            lost()

    def leave(self) -> None:
        """Tell nobody any more."""
        self.listen(_ignore, _shrug)

    def say(self, line: bytes) -> None:
        """Send a line, which ends as one does. Nobody hears it where the socket is closed."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(line)

    def close(self) -> None:
        """Hang up once all is sent."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the event loop."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101  a stream's is one
        self._transport = transport

    def get_buffer(self, sizehint: int) -> bytearray:  # noqa: ARG002  asyncio gives it
        """Called by the event loop."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Called by the event loop."""
        *whole, rest = bytes(memoryview(self._buffer)[:nbytes]).split(b"\n")
        if whole:
            whole[0] = b"".join([*self._begun, whole[0]])
            self._begun, self._begun_bytes = [], 0
        if rest:
            self._begun.append(rest)
            self._begun_bytes += len(rest)
        if self._begun_bytes > LINE_LIMIT and self._transport is not None:
            self._transport.abort()
        if whole:
            self._hear(whole)

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the event loop."""
        if isinstance(exc, ConnectionError):
            self._take_rest()
        self._is_lost = True
        self._lost()

    def _take_rest(self) -> None:
        """Hear what the other side said before it closed. Where that is noticed by a line to it,
        asyncio reads no more."""
        assert self._transport is not None  # noqa: S101  it was made before it was lost
        own = self._transport.get_extra_info("socket").fileno()
        with suppress(ConnectionError, BlockingIOError):  # the latter: it only reads no more
            while count := os.readv(own, [self._buffer]):
                self.buffer_updated(count)


async def open_lines(
    own: socket.socket, hear: Hear = _ignore, lost: Callable[[], None] = _shrug
) -> Lines:
    """Lines over a socket that is connected."""
    loop = asyncio.get_running_loop()
    _, lines = await loop.create_connection(lambda: Lines(hear, lost), sock=own)
    return lines
