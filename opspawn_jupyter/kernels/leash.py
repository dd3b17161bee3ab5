"""A forked kernel, as its client holds it: through the connection to the fork server."""

from __future__ import annotations

import array
import asyncio
import contextlib
import json
import os
import signal
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from opspawn_jupyter.kernels.forking import wire

_LOST = -int(signal.SIGKILL)

#: Held kernels. A stock kernel outlives the object that started it, until its process ends; a
#: connection closed by garbage collection would kill this one.
_held: set[Leash] = set()


class Leash:
    """Says whether the kernel lives, how it ended, and passes signals on.

    It dies with this process. The connection is kept as a bare descriptor on purpose: it has to
    stay open as long as the process, whatever happens to the objects around it.
    """

    def __init__(self, line: socket.socket, pid: int) -> None:
        self.pid = pid
        #: The fork server died, and nobody has looked after what the kernel had started.
        self.is_lost = False
        #: The exit code of a kernel that has done all it does; only its process is left.
        self.ending: int | None = None
        self._exit_code: int | None = None
        os.set_blocking(line.fileno(), False)
        self._line = line.detach()
        _held.add(self)

    def poll(self) -> int | None:
        """Exit code, negative for the signal that ended it; ``None`` while the kernel lives."""
        while self._exit_code is None:
            try:
                data = os.read(self._line, 4096)
            except BlockingIOError:
                return None
            except ConnectionError:
                data = b""
            # Without a message the fork server has died, and the kernel with it.
            self.is_lost = not data
            message = json.loads(data) if data else {}
            if "ending" in message:
                self.ending = message["ending"]
            else:
                self._end(message.get("exit", _LOST))
        return self._exit_code

    async def wait_for_ending(self, timeout_seconds: float) -> None:
        """Wait until it has done all it does, or is gone, or the time is over."""
        loop = asyncio.get_running_loop()
        latest = loop.time() + timeout_seconds
        while self.poll() is None and self.ending is None:
            if not await readable(self._line, max(0.0, latest - loop.time())):
                return

    @contextlib.contextmanager
    def watched(self, tell: Callable[[], None]) -> Iterator[None]:
        """Have this called, meanwhile, while the fork server has something to say of it."""
        loop, own = asyncio.get_running_loop(), os.dup(self._line)
        loop.add_reader(own, tell)
        try:
            yield
        finally:
            loop.remove_reader(own)
            os.close(own)

    async def wait(self, timeout_seconds: float | None = None) -> int | None:
        """Wait for the end; the exit code, or ``None`` when the time is over."""
        while self.poll() is None:
            if not await readable(self._line, timeout_seconds):
                return None
        return self._exit_code

    def signal(self, signum: int) -> None:
        """Send a signal to the kernel's process group, if it still lives.

        The fork server sends it: it alone knows that the process number is still the kernel's.
        """
        if self.poll() is None:
            with contextlib.suppress(ConnectionError):  # it has ended in this moment
                os.write(self._line, json.dumps({"op": "signal", "signum": signum}).encode())

    def _end(self, exit_code: int) -> None:
        self._exit_code = exit_code
        _held.discard(self)
        os.close(self._line)


async def request(
    line: socket.socket, order: Mapping[str, Any], files: Sequence[int], timeout_seconds: float
) -> Mapping[str, Any]:
    """The fork server's answer to an order; ``{"refused": why}`` where it gives none."""
    refusal = send(line, order, files)
    return await answer_on(line, timeout_seconds) if refusal is None else {"refused": refusal}


def send(line: socket.socket, order: Mapping[str, Any], files: Sequence[int]) -> str | None:
    """Send the order; why that was not possible, if so."""
    try:
        wire.send(line, dict(order), array.array("i", files))
    except OSError as error:
        return _unreachable(error)
    return None


async def answer_on(line: socket.socket, timeout_seconds: float) -> Mapping[str, Any]:
    """The same, for an order that was sent."""
    try:
        if not await readable(line.fileno(), timeout_seconds):
            return {"refused": "the fork server does not answer"}
        answer, _ = wire.receive(line)
    except OSError as error:
        return {"refused": _unreachable(error)}
    return answer or {"refused": "the fork server has ended"}


def _unreachable(error: OSError) -> str:
    return f"the fork server cannot be reached ({error.strerror})"


async def readable(descriptor: int, timeout_seconds: float | None) -> bool:
    """Wait until there is something to read; whether there is."""
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[bool] = loop.create_future()
    own = os.dup(descriptor)  # so that several may wait for the same
    loop.add_reader(own, _resolve, ready, True)
    timer = None
    if timeout_seconds is not None:  # asyncio's own timeouts take as long as all the rest
        timer = loop.call_later(timeout_seconds, _resolve, ready, False)
    try:
        return await ready
    finally:
        if timer is not None:
            timer.cancel()
        loop.remove_reader(own)
        os.close(own)


def _resolve(future: asyncio.Future[bool], is_readable: bool) -> None:
    if not future.done():
        future.set_result(is_readable)
