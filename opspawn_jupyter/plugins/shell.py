"""``shell``: one command, with what it prints."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from codecs import getincrementaldecoder
from collections import deque
from collections.abc import Mapping, Sequence
from typing import IO, Any

from pydantic import Field

from opspawn_jupyter.plugins.configuration import StrictConfig
from opspawn_jupyter.plugins.ending import ended_with_us

#: What is kept of each stream as an output; the cell shows all of it.
_KEPT_CHARACTERS = 1 << 20
_PIECE_BYTES = 1 << 16


class Shell:
    """Run a command; any exit code but 0 fails the step."""

    outputs = ("stdout", "stderr", "returncode")

    class Config(StrictConfig):
        """A command line for ``/bin/sh``, or a program with its arguments."""

        command: str | list[str] = Field(min_length=1)
        #: Variables beside those of the kernel.
        env: dict[str, str] = Field(default_factory=dict)
        #: Where the command starts; the kernel's directory where it is left out.
        cwd: str | None = None
        #: Whether another exit code than 0 fails the step.
        check: bool = True

    def run(self, config: Config, context: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ARG002
        """``stdout``, ``stderr`` and ``returncode``. Raises ``CalledProcessError``."""
        process = _start(config)
        with ended_with_us(process):
            out, err = _Copy(process.stdout, sys.stdout), _Copy(process.stderr, sys.stderr)
            stdout, stderr = out.text(), err.text()
            code = process.wait()
        if code and config.check:
            raise subprocess.CalledProcessError(code, config.command, stdout, stderr)
        return {"stdout": stdout, "stderr": stderr, "returncode": code}


def _start(config: Shell.Config) -> subprocess.Popen[bytes]:
    command: str | Sequence[str] = config.command
    return subprocess.Popen(
        command,
        shell=isinstance(command, str),  # a shell is what the user asked for
        cwd=config.cwd,
        env={**os.environ, **config.env},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


class _Copy:
    """One stream on its way into the cell, as it comes, with its end kept."""

    def __init__(self, source: IO[bytes] | None, target: Any) -> None:
        self._pieces: deque[str] = deque()
        self._length = 0
        self._thread = threading.Thread(target=self._copy, args=(source, target), daemon=True)
        self._thread.start()

    def text(self) -> str:
        """What came, or its last million characters, once the stream has ended."""
        self._thread.join()
        return "".join(self._pieces)[-_KEPT_CHARACTERS:]

    def _copy(self, source: Any, target: Any) -> None:
        decoder = getincrementaldecoder("utf-8")("backslashreplace")
        while data := source.read1(_PIECE_BYTES):
            piece = decoder.decode(data)
            target.write(piece)
            self._keep(piece)
        self._keep(decoder.decode(b"", final=True))

    def _keep(self, piece: str) -> None:
        self._pieces.append(piece)
        self._length += len(piece)
        while self._length - len(self._pieces[0]) > _KEPT_CHARACTERS:
            self._length -= len(self._pieces.popleft())
