"""All channels of a kernel over one socket, for a kernel that has no sockets of its own.

A frame is a channel's letter, the number of parts and their lengths, then the parts, which are
those of the Jupyter messaging protocol over ZeroMQ.
"""

from __future__ import annotations

import asyncio
import select
import socket
import struct
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

from .steady import SteadyLock

SHELL = b"s"
#: As ``SHELL``, of what was sent before it was known how the request before it ended.
AHEAD = b"a"
IOPUB = b"i"
#: Says that the client leaves the kernel to others.
RELEASE = b"r"
#: Comes from the kernel once all that it does is done, with its exit code: it only ends then.
ENDING = b"e"

#: Metadata of a reply after which the kernel drops what was sent ahead.
DROPS = "opspawn_drops_ahead"

_HEAD = struct.Struct("<cI")
#: More at once is new memory of the system's each time, which takes longer than the rest.
_READ_BYTES = 1 << 16


def pack(channel: bytes, parts: Sequence[Any]) -> list[bytes]:
    """The frame, in pieces."""
    plain = [part if isinstance(part, bytes) else bytes(part) for part in parts]
    lengths = struct.pack(f"<{len(plain)}Q", *map(len, plain))
    return [_HEAD.pack(channel, len(plain)), lengths, *plain]


class Frames:
    """Takes bytes as they come, and gives the frames that are whole.

    Parts that are longer than ``most_copied`` are given as they lie in memory.
    """

    def __init__(self, most_copied: int | None = None) -> None:
        self._buffer = bytearray()
        self._most_copied = most_copied

    def feed(self, data: bytes) -> Iterator[tuple[bytes, list[Any]]]:
        """Channel and parts of each frame that this completes."""
        self._buffer += data
        while (end := self._end()) is not None:
            whole, self._buffer = self._buffer, self._buffer[end:]
            yield _split(memoryview(whole), self._most_copied or end)

    def _end(self) -> int | None:
        if len(self._buffer) < _HEAD.size:
            return None
        _, count = _HEAD.unpack_from(self._buffer)
        start = _HEAD.size + 8 * count
        if len(self._buffer) < start:
            return None
        end = start + sum(struct.unpack_from(f"<{count}Q", self._buffer, _HEAD.size))
        return end if len(self._buffer) >= end else None


def _split(frame: memoryview, most_copied: int) -> tuple[bytes, list[Any]]:
    """Channel and parts of the first frame."""
    channel, count = _HEAD.unpack_from(frame)
    at = _HEAD.size + 8 * count
    parts: list[Any] = []
    for length in struct.unpack_from(f"<{count}Q", frame, _HEAD.size):
        part = frame[at : at + length]
        parts.append(part if length > most_copied else bytes(part))
        at += length
    return channel, parts


class Line:
    """The kernel's end. Nothing is sent before it is attached."""

    def __init__(self) -> None:
        self._socket: socket.socket | None = None
        self._lock = SteadyLock()
        self._held: deque[bytes] = deque()

    def attach(self, descriptor: int) -> None:
        """Talk over this socket from now on."""
        self._socket = socket.socket(fileno=descriptor)
        self._socket.setblocking(False)

    def send(self, channel: bytes, parts: Sequence[Any]) -> None:
        """Send it whole, whatever interrupts come meanwhile, after what is held."""
        self.hold(channel, parts)
        self.flush()

    def hold(self, channel: bytes, parts: Sequence[Any]) -> None:
        """Send it with what comes next, or at the next ``flush``: each piece that arrives wakes the
        client."""
        if self._socket is not None:
            self._held.append(b"".join(pack(channel, parts)))

    def flush(self) -> None:
        """Send what is held."""
        if self._socket is None or not self._held:
            return
        with self._lock:
            data = b"".join([self._held.popleft() for _ in range(len(self._held))])
            _send_all(self._socket, data)

    def close(self) -> None:
        """Hang up. What is held goes nowhere."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    async def read(self) -> bytes:
        """What comes next; empty once the client is gone."""
        if self._socket is None:
            return b""
        try:
            return await asyncio.get_running_loop().sock_recv(self._socket, _READ_BYTES)
        except ConnectionError:
            return b""

    def read_now(self) -> bytes | None:
        """What has come; None where that is nothing, empty once the client is gone."""
        if self._socket is None:
            return b""
        try:
            return self._socket.recv(_READ_BYTES)
        except BlockingIOError:
            return None
        except ConnectionError:
            return b""


def _send_all(line: socket.socket, data: bytes) -> None:
    left = memoryview(data)
    while left:
        try:
            left = left[line.send(left) :]
        except BlockingIOError:
            select.select([], [line], [])
        except ConnectionError:  # the client is gone, and this process ends soon
            return


class Channel:
    """One channel of the line, as ``Session.send`` wants its sockets."""

    is_private = True

    def __init__(self, line: Line, name: bytes) -> None:
        self._line = line
        self._name = name
        #: Something was said on it that the client may answer.
        self.has_asked = False

    def send_multipart(self, parts: Sequence[Any], **_options: Any) -> None:
        """Send one message."""
        self._line.send(self._name, parts)

    def confide(self, parts: Sequence[Any], *, can_wait: bool) -> None:
        """Send it, at once or before long, to the only one who hears what is said here."""
        (self._line.hold if can_wait else self._line.send)(self._name, parts)

    def hold(self, parts: Sequence[Any]) -> None:
        """Send it before long: see ``Line``."""
        self._line.hold(self._name, parts)

    def flush(self, *_: Any) -> None:
        """Nothing waits to be sent. ipykernel 6 asks for it."""
