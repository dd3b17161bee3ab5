"""Standard output and error of a kernel without sockets: what Python prints, and what others write
to the file descriptors.

A thread looks for it ten times a second. Nobody wakes it: most cells are over before it looks, and
have told by then what they put out."""

from __future__ import annotations

import _thread
import io
import os
import select
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from .steady import SteadyLock

#: What is printed is told after so long at the latest.
_PAUSE_SECONDS = 0.1
_MOST_CHARACTERS = 1 << 16
_READ_BYTES = 1 << 16

Tell = Callable[[str, str], None]


class Printed(io.TextIOBase):
    """``sys.stdout`` or ``sys.stderr``: gathers a little, and tells it."""

    def __init__(self, name: str, number: int, tell: Tell, send: Callable[[], None]) -> None:
        super().__init__()
        self._name = name
        self._number = number
        self._tell = tell
        self._send = send
        self._pid = os.getpid()
        self._lock = threading.RLock()
        self._parts: list[str] = []
        self._characters = 0

    @property
    def name(self) -> str:
        """As the notebook format names it."""
        return f"<{self._name}>"

    @property
    def encoding(self) -> str:  # type: ignore[override]  # read-only on purpose
        """Of what is written to the file descriptor, by the name that ipykernel has for it."""
        return "UTF-8"

    def adopt(self) -> None:
        """Be this process's, which may be a fork of the one that made it."""
        self._pid = os.getpid()

    def write(self, text: Any) -> int:
        """Take the text."""
        if not isinstance(text, str):
            msg = f"write() argument must be str, not {type(text)}"
            raise TypeError(msg)
        if os.getpid() != self._pid:  # a child of the kernel's: its parent reads the descriptor
            os.write(self._number, text.encode(errors="replace"))
            return len(text)
        with self._lock:
            self._parts.append(text)
            self._characters += len(text)
        if self._characters > _MOST_CHARACTERS:
            self.flush()
        return len(text)

    def flush(self) -> None:
        """Tell what was gathered, at once."""
        if self.tell():
            self._send()

    def tell(self) -> bool:
        """Tell what was gathered, before long; whether there was something."""
        if os.getpid() != self._pid:
            return False
        with self._lock:
            text = "".join(self._parts)
            self._parts.clear()
            self._characters = 0
            if text:
                self._tell(self._name, text)
        return bool(text)

    def fileno(self) -> int:
        """Where C code writes the same."""
        return self._number

    def writable(self) -> bool:
        """It is."""
        return True

    def isatty(self) -> bool:
        """It is none."""
        return False


class Capture:
    """Both streams; what others write is told from ``start`` on.

    ``tell`` is given name and text, and may keep them until ``send`` is called.
    """

    def __init__(self, tell: Tell, send: Callable[[], None]) -> None:
        self._send = send
        self._lock = SteadyLock()
        self._has_no_client = _thread.allocate_lock()
        self._pipes: dict[int, Printed] = {}
        self._writers: list[int] = []
        self.streams = (Printed("stdout", 1, tell, send), Printed("stderr", 2, tell, send))

    def install(self) -> None:
        """Be what Python prints to."""
        sys.stdout, sys.stderr = self.streams
        for stream in self.streams:
            stream.adopt()
            reader, writer = os.pipe()
            os.set_blocking(reader, False)
            self._pipes[reader] = stream
            self._writers.append(writer)
        self._has_no_client.acquire()
        # ``threading`` would wait until it runs, and know it by name: a tenth of a kernel's life.
        _thread.start_new_thread(self._watch, ())

    def start(self) -> None:
        """Take over the file descriptors."""
        for stream, writer in zip(self.streams, self._writers):  # noqa: B905  for Python 3.9
            os.dup2(writer, stream.fileno())
            os.close(writer)
        self._writers.clear()
        self._has_no_client.release()

    def drain(self) -> None:
        """Tell all that was written until now, before long. Also what the thread has just read."""
        with self._lock:
            for reader, stream in self._pipes.items():
                _pass_on(reader, stream)
            for stream in self.streams:
                stream.tell()

    def _watch(self) -> None:
        self._has_no_client.acquire()
        while True:
            if select.select([*self._pipes], [], [], _PAUSE_SECONDS)[0]:
                self.drain()
                time.sleep(_PAUSE_SECONDS)
            self.drain()
            self._send()


def _pass_on(reader: int, stream: Printed) -> None:
    with suppress(BlockingIOError):
        while data := os.read(reader, _READ_BYTES):
            stream.write(data.decode(errors="replace"))
