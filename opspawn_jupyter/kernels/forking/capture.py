"""Standard output and error of a kernel without sockets: what Python prints, and what others write
to the file descriptors."""

from __future__ import annotations

import io
import os
import select
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

#: What is printed is told after so long at the latest.
_PAUSE_SECONDS = 0.1
_MOST_CHARACTERS = 1 << 16
_READ_BYTES = 1 << 16

Tell = Callable[[str, str], None]


class Printed(io.TextIOBase):
    """``sys.stdout`` or ``sys.stderr``: gathers a little, and tells it."""

    def __init__(self, name: str, number: int, tell: Tell, wake: Callable[[], None]) -> None:
        super().__init__()
        self._name = name
        self._number = number
        self._tell = tell
        self._wake = wake
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

    def write(self, text: Any) -> int:
        """Take the text."""
        if not isinstance(text, str):
            msg = f"write() argument must be str, not {type(text)}"
            raise TypeError(msg)
        if os.getpid() != self._pid:  # a child of the kernel's: its parent reads the descriptor
            os.write(self._number, text.encode(errors="replace"))
            return len(text)
        with self._lock:
            is_first = not self._parts
            self._parts.append(text)
            self._characters += len(text)
        if self._characters > _MOST_CHARACTERS:
            self.flush()
        elif is_first:
            self._wake()
        return len(text)

    def flush(self) -> None:
        """Tell what was gathered."""
        if os.getpid() != self._pid:
            return
        with self._lock:
            text = "".join(self._parts)
            self._parts.clear()
            self._characters = 0
            if text:
                self._tell(self._name, text)

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
    """Both streams; what others write is told from ``start`` on."""

    def __init__(self, tell: Tell) -> None:
        self._waker: int | None = None
        self._pipes: dict[int, Printed] = {}
        self._writers: list[int] = []
        self.streams = (
            Printed("stdout", 1, tell, self._wake),
            Printed("stderr", 2, tell, self._wake),
        )

    def install(self) -> None:
        """Be what Python prints to."""
        sys.stdout, sys.stderr = self.streams
        for stream in self.streams:
            reader, writer = os.pipe()
            os.set_blocking(reader, False)
            self._pipes[reader] = stream
            self._writers.append(writer)
        wake_reader, self._waker = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        threading.Thread(target=self._watch, args=(wake_reader,), daemon=True).start()

    def start(self) -> None:
        """Take over the file descriptors."""
        for stream, writer in zip(self.streams, self._writers):  # noqa: B905  for Python 3.9
            os.dup2(writer, stream.fileno())
            os.close(writer)
        self._writers.clear()

    def drain(self) -> None:
        """Tell all that was written until now."""
        for reader, stream in self._pipes.items():
            _pass_on(reader, stream)
        for stream in self.streams:
            stream.flush()

    def _wake(self) -> None:
        if self._waker is not None:
            with suppress(BlockingIOError):
                os.write(self._waker, b"x")

    def _watch(self, wake_reader: int) -> None:
        while True:
            ready: list[Any] = select.select([wake_reader, *self._pipes], [], [])[0]
            for reader in ready:
                if reader in self._pipes:
                    _pass_on(reader, self._pipes[reader])
            time.sleep(_PAUSE_SECONDS)
            if wake_reader in ready:
                os.read(wake_reader, 4096)
            for stream in self.streams:
                stream.flush()


def _pass_on(reader: int, stream: Printed) -> None:
    with suppress(BlockingIOError):
        while data := os.read(reader, _READ_BYTES):
            stream.write(data.decode(errors="replace"))
