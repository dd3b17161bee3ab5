"""The client's end of a kernel's line, over which all its channels go, in order."""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

from opspawn_jupyter.kernels.arrival import Arrival, Part
from opspawn_jupyter.kernels.forking.line import AHEAD, ENDING, RELEASE, SHELL, Frames, pack

#: More at once is new memory of the system's each time, which takes longer than the rest.
_READ_BYTES = 1 << 16
#: Messages that wait to be taken; beyond them the kernel has to wait, too.
_MOST_WAITING = 64
#: How long a wait on a line that has ended takes at most: somebody is to look after the kernel.
_ENDED_SECONDS = 0.01


class Wire:
    """Gives what comes, message by message. Belongs to one event loop."""

    def __init__(self, line: socket.socket) -> None:
        line.setblocking(False)
        self._line = line
        self._frames = Frames(most_copied=_READ_BYTES)
        self._waiting: deque[tuple[bytes, list[Part]]] = deque()
        self._arrival = Arrival()
        self._has_ended = False
        #: The exit code of a kernel that has done all it does.
        self.ending: int | None = None
        #: What is to be sent together, while that is being said.
        self._held: list[bytes] | None = None
        self._loop = asyncio.get_running_loop()
        self._is_listening = False
        self._listen()

    async def receive(self, timeout_seconds: float) -> tuple[bytes, Sequence[Part]] | None:
        """Channel and parts of the next message; None where none comes in time."""
        if not self._waiting:
            self._listen()
            if self._has_ended:
                timeout_seconds = min(timeout_seconds, _ENDED_SECONDS)
            if not await self._arrival.wait(timeout_seconds):
                return None
        return self._waiting.popleft() if self._waiting else None

    async def wait_for_ending(self, is_over: Callable[[], bool], timeout_seconds: float) -> None:
        """Wait until the kernel has said its last, or what ``is_over`` looks at has come, of which
        ``tell`` is called, or the time is over. Nobody takes messages any more."""
        latest = self._loop.time() + timeout_seconds
        while self.ending is None and not is_over():
            self._waiting.clear()
            self._listen()
            if not await self._arrival.wait(max(0.0, latest - self._loop.time())):
                return

    def look(self) -> None:
        """Take what has come by now, without a turn of the loop."""
        if self._is_listening:
            self._read()

    def tell(self) -> None:
        """Have whoever waits look again."""
        self._arrival.tell()

    def send(self, parts: Sequence[bytes]) -> None:
        """Send a request. The kernel reads between cells only, but requests are few and short."""
        self._send(SHELL, parts)

    def send_ahead(self, parts: Sequence[bytes]) -> None:
        """Send one that is dropped where the kernel drops what was sent ahead."""
        self._send(AHEAD, parts)

    def release(self) -> None:
        """Leave the kernel to others. Nothing can be sent after this."""
        self._send(RELEASE, [])

    def retract(self) -> None:
        """Let the kernel begin nothing any more. Nothing can be sent after this."""
        with suppress(OSError):  # it has ended
            self._line.shutdown(socket.SHUT_WR)

    @contextmanager
    def together(self) -> Iterator[None]:
        """Send all at once that is sent meanwhile: each piece that arrives wakes the kernel."""
        if self._held is not None:
            yield
            return
        self._held = []
        try:
            yield
        finally:
            held, self._held = self._held, None
            if held:
                self._send_now(held)

    def _send(self, channel: bytes, parts: Sequence[bytes]) -> None:
        pieces = pack(channel, parts)
        if self._held is None:
            self._send_now(pieces)
        else:
            self._held += pieces

    def _send_now(self, pieces: Sequence[bytes]) -> None:
        self._line.setblocking(True)
        try:
            self._line.sendall(b"".join(pieces))
        except ConnectionError:
            return  # whoever waits for the answer finds the kernel dead
        finally:
            self._line.setblocking(False)

    send_control = send

    def close(self) -> None:
        """Hang up; the kernel ends then."""
        self._stop_listening()
        self._line.close()

    def _listen(self) -> None:
        if not self._is_listening and not self._has_ended:
            self._loop.add_reader(self._line, self._read)
            self._is_listening = True

    def _stop_listening(self) -> None:
        if self._is_listening:
            self._loop.remove_reader(self._line)
            self._is_listening = False

    def _read(self) -> None:
        try:
            data = self._line.recv(_READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except ConnectionError:
            data = b""
        for channel, parts in self._frames.feed(data):
            if channel == ENDING:
                self.ending = int(bytes(parts[0]))
            else:
                self._waiting.append((channel, parts))
        self._has_ended = not data
        if not data or len(self._waiting) > _MOST_WAITING:
            self._stop_listening()
        if self._waiting or not data or self.ending is not None:
            self._arrival.tell()
