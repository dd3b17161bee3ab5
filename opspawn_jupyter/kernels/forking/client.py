"""A client of the fork server, as the server knows it."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Client:
    """A connection, and the kernel it holds, if any."""

    line: socket.socket
    #: Readable once the client's process has ended.
    pidfd: int
    kernel_pid: int | None = None
    #: Where a kernel that was a spare has its last word.
    kernel_line: socket.socket | None = None
    ipc_prefix: str | None = None
    #: A launch that waits for a spare, and its files.
    order: dict[str, Any] | None = None
    files: list[int] = field(default_factory=list)

    def take_order(self) -> tuple[dict[str, Any], list[int]]:
        """The launch that waits, and its files, which are then the caller's to close."""
        order, files = self.order or {}, self.files
        self.order, self.files = None, []
        return order, files

    def close_files(self) -> None:
        """Close the files that came with the order."""
        while self.files:
            os.close(self.files.pop())


def signal_group(pid: int | None, signum: int) -> None:
    """Signal a kernel and what its cells have started."""
    if pid is None:
        return
    try:
        os.killpg(pid, signum)
    except ProcessLookupError:  # a fork so young that it has no group, and has started nothing
        with suppress(ProcessLookupError):
            os.kill(pid, signum)
