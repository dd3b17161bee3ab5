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

    def close_files(self) -> None:
        """Close the files that came with the order."""
        while self.files:
            os.close(self.files.pop())


def signal_group(pid: int | None, signum: int) -> None:
    """Signal a kernel and what its cells have started."""
    if pid is not None:
        # A fork that has no group of its own yet is a few instructions old.
        with suppress(ProcessLookupError):
            os.killpg(pid, signum)
