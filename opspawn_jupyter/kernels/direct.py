"""The client's side of a kernel without sockets: launching it, and the channels of its line."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import zmq

from opspawn_jupyter.kernels import recipe, servers
from opspawn_jupyter.kernels.command import KernelCommand
from opspawn_jupyter.kernels.forking import wire
from opspawn_jupyter.kernels.forking.line import IOPUB, SHELL, Frames, pack
from opspawn_jupyter.kernels.forking.options import Options
from opspawn_jupyter.kernels.leash import Leash, request

TIER_DIRECT = "direct"
_LAUNCH_SECONDS = 30.0
_READ_BYTES = 1 << 18
#: Messages that wait to be read; beyond them the kernel has to wait, too.
_MOST_WAITING = 64


@dataclass(frozen=True, kw_only=True)
class DirectLaunch:
    """What a kernel is started with."""

    command: KernelCommand
    environment: Mapping[str, str]
    directory: str
    options: Options
    patience_seconds: float


async def launch(wanted: DirectLaunch) -> tuple[Leash, socket.socket] | str:
    """The kernel and the line to it; or why there is none."""
    found = recipe.for_launch(wanted.command, wanted.environment, wanted.options)
    if found is None:
        return "its interpreter is not found"
    made = await _ask(found, wanted)
    if made == wire.RETIRED:  # it leaves its place to another
        made = await _ask(found, wanted)
    return made


async def _ask(found: recipe.Recipe, wanted: DirectLaunch) -> tuple[Leash, socket.socket] | str:
    line = await servers.connect_within(found, wanted.patience_seconds)
    if line is None:
        return "the fork server is not up"
    ours, theirs = socket.socketpair()
    null = os.open(os.devnull, os.O_RDONLY)
    try:
        answer = await request(line, _order(wanted), [null, 1, 2, theirs.fileno()], _LAUNCH_SECONDS)
    finally:
        os.close(null)
        theirs.close()
    if "refused" in answer:
        ours.close()
        line.close()
        return str(answer["refused"])
    return Leash(line, answer["pid"]), ours


def _order(wanted: DirectLaunch) -> dict[str, Any]:
    return {
        "op": "kernel",
        "tier": TIER_DIRECT,
        "command": wanted.command.words,
        "arguments": wanted.command.arguments,
        "environment": {**wanted.environment, "JPY_PARENT_PID": str(os.getpid())},
        "directory": wanted.directory,
        "connection_file": wanted.command.connection_file,
        "spare": True,
        "ipc_prefix": None,
    }


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
