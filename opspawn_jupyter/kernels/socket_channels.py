"""A kernel's shell and iopub sockets, read as one line.

zmq tells by one descriptor a socket that something happened to it, and only once: what it is has to
be looked up before it tells again. It may be looked up by a send on that socket as well, so a
reader always looks before it waits.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import zmq

from opspawn_jupyter.kernels.arrival import Arrival, Part
from opspawn_jupyter.kernels.forking.line import IOPUB, SHELL

#: A part of a message that is not copied, because it may be of any size, from here on.
_LONG_BYTES = 1 << 16
#: A kernel that puts out without end must not keep everybody else from their turn.
_MOST_IN_A_ROW = 32


class Sockets:
    """Gives what comes on either, message by message. Belongs to one event loop, as do they."""

    def __init__(
        self,
        shell: zmq.Socket[bytes],
        iopub: zmq.Socket[bytes],
        control: zmq.Socket[bytes] | None = None,
    ) -> None:
        self._shell = shell
        self._control = control
        # What a cell puts out comes before its reply, if both are there.
        self._channels = ((IOPUB, iopub), (SHELL, shell))
        self._arrival = Arrival()
        self._taken = 0
        self._loop = asyncio.get_running_loop()
        for _, line in self._channels:
            self._loop.add_reader(line.FD, self._look_up)

    async def receive(self, timeout_seconds: float) -> tuple[bytes, list[Part]] | None:
        """Channel and parts of the next message; None where none comes in time."""
        found = self._next()
        while found is None and await self._arrival.wait(timeout_seconds):
            found = self._next()
        self._taken += 1
        if self._taken % _MOST_IN_A_ROW == 0:
            await asyncio.sleep(0)
        return found

    def send(self, parts: Sequence[bytes]) -> None:
        """Send a request on the shell channel."""
        self._shell.send_multipart(parts)
        self._arrival.tell()

    def send_control(self, parts: Sequence[bytes]) -> None:
        """Send a request that the kernel takes whatever runs; only with a control channel."""
        if self._control is not None:
            self._control.send_multipart(parts)

    def close(self) -> None:
        """Hang up."""
        for _, line in self._channels:
            self._loop.remove_reader(line.FD)
            line.close(linger=0)
        if self._control is not None:
            self._control.close(linger=0)

    def _look_up(self) -> None:
        for _, line in self._channels:
            line.getsockopt(zmq.EVENTS)
        self._arrival.tell()

    def _next(self) -> tuple[bytes, list[Part]] | None:
        for name, line in self._channels:
            try:
                frames = line.recv_multipart(zmq.NOBLOCK, copy=False)
            except zmq.Again:
                continue
            return name, [_part(frame) for frame in frames]
        return None


def _part(frame: zmq.Frame) -> Part:
    """Only what is short is copied."""
    return frame.bytes if len(frame) < _LONG_BYTES else frame.buffer


def connected(connection: Mapping[str, Any]) -> Sockets:
    """The channels of a kernel with this connection information, which need not be there yet."""
    shell, iopub, control = (
        _connected(connection, kind, name)
        for kind, name in ((zmq.DEALER, "shell"), (zmq.SUB, "iopub"), (zmq.DEALER, "control"))
    )
    iopub.subscribe(b"")
    return Sockets(shell, iopub, control)


def _connected(connection: Mapping[str, Any], kind: int, name: str) -> zmq.Socket[bytes]:
    transport, place = connection["transport"], connection["ip"]
    line = _context(os.getpid()).socket(kind)
    # At zmq's limit of messages that wait to be read it drops output in silence.
    line.set(zmq.RCVHWM, 0)
    joint = "-" if transport == "ipc" else ":"
    line.connect(f"{transport}://{place}{joint}{connection[f'{name}_port']}")
    return line


@lru_cache(maxsize=1)
def _context(_pid: int) -> zmq.Context[zmq.Socket[bytes]]:
    """One for all kernels of the process: its threads take as long to start as a kernel."""
    return zmq.Context()
