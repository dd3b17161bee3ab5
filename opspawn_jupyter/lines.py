"""Lines over a stream socket, told as they come.

All at once that came together: who hears them can deal with many as with one, and need not wake up
for each.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence

#: Longest line: an output bundle of 256 kB, a step value, a plan of many cells, a page of reports.
LINE_LIMIT = 64 << 20
_CHUNK_BYTES = 1 << 20


class Splitter:
    """Makes lines of what comes in pieces."""

    def __init__(self) -> None:
        #: A line whose end has not come yet.
        self._begun: list[bytes] = []
        self.begun_bytes = 0

    def feed(self, data: bytes) -> Sequence[bytes]:
        """The lines that the data ends, without their ends."""
        *whole, rest = data.split(b"\n")
        if whole and self._begun:
            whole[0] = b"".join([*self._begun, whole[0]])
            self._begun, self.begun_bytes = [], 0
        if rest:
            self._begun.append(rest)
            self.begun_bytes += len(rest)
        return whole


async def arrivals(reader: asyncio.StreamReader) -> AsyncIterator[Sequence[bytes]]:
    """Whole lines as they come, until the end of the stream."""
    splitter = Splitter()
    while data := await reader.read(_CHUNK_BYTES):
        if whole := splitter.feed(data):
            yield whole


class Lines(asyncio.Protocol):
    """One end of a socket. ``lost`` is called once, when nothing more can come."""

    def __init__(
        self, hear: Callable[[Sequence[bytes]], None], lost: Callable[[], None] = lambda: None
    ) -> None:
        self._hear = hear
        self._lost = lost
        self._transport: asyncio.Transport | None = None
        self._splitter = Splitter()

    @property
    def is_open(self) -> bool:
        """Something can be said."""
        return self._transport is not None and not self._transport.is_closing()

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

    def data_received(self, data: bytes) -> None:
        """Called by the event loop."""
        whole = self._splitter.feed(data)
        if self._splitter.begun_bytes > LINE_LIMIT and self._transport is not None:
            self._transport.abort()
        if whole:
            self._hear(whole)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  asyncio gives it
        """Called by the event loop."""
        self._lost()
