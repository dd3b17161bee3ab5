"""The client's side of a kernel's line: its channels, in the way of zmq sockets."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import zmq

from opspawn_jupyter.kernels.forking.line import IOPUB, SHELL, Frames, pack

_READ_BYTES = 1 << 18
#: Messages that wait to be read; beyond them the kernel has to wait, too.
_MOST_WAITING = 64


class Wire:
    """Reads the line, and gives each message to its channel. Belongs to one event loop."""

    def __init__(self, line: socket.socket) -> None:
        line.setblocking(False)
        self._line = line
        self.shell = WireChannel(self, SHELL)
        self.iopub = WireChannel(self, IOPUB)
        self._reading = asyncio.ensure_future(self._read())

    async def _read(self) -> None:
        loop, frames = asyncio.get_running_loop(), Frames()
        channels = {SHELL: self.shell, IOPUB: self.iopub}
        try:
            while data := await loop.sock_recv(self._line, _READ_BYTES):
                for name, parts in frames.feed(data):
                    await channels[name].put(parts)
        except ConnectionError:
            return  # whoever waits for a message finds the kernel dead

    def send(self, parts: list[bytes]) -> None:
        """Send a request. The kernel reads between cells only, but requests are few and short."""
        self._line.setblocking(True)
        try:
            self._line.sendall(b"".join(pack(SHELL, parts)))
        except ConnectionError:
            return  # as above
        finally:
            self._line.setblocking(False)

    def close(self) -> None:
        """Hang up; the kernel ends then."""
        self._reading.cancel()
        self._line.close()


class WireChannel:
    """One channel, in the way of a zmq socket."""

    def __init__(self, line: Wire, name: bytes) -> None:
        self._wire = line
        self._name = name
        self._waiting: asyncio.Queue[list[bytes]] = asyncio.Queue(_MOST_WAITING)
        self._arrival = asyncio.Event()

    async def put(self, parts: list[bytes]) -> None:
        """Queue a message for its reader."""
        await self._waiting.put(parts)
        self._arrival.set()

    async def poll(self, timeout: float | None = None) -> int:
        """Whether a message comes within so many milliseconds."""
        if self._waiting.empty():
            self._arrival.clear()
            try:
                async with asyncio.timeout(None if timeout is None else timeout / 1000):
                    await self._arrival.wait()
            except TimeoutError:
                return 0
        return 1

    async def recv_multipart(self, **_options: Any) -> list[zmq.Frame]:
        """The next message."""
        return [zmq.Frame(part) for part in await self._waiting.get()]

    def send_multipart(self, parts: Any, **_options: Any) -> None:
        """Send one."""
        self._wire.send([bytes(part) for part in parts])

    def close(self, **_options: Any) -> None:
        """Nothing: the line is closed as a whole."""
