"""The socket files of kernels that are reached by ipc."""

from __future__ import annotations

import glob
import os
import socket
from contextlib import suppress


def remove(prefix: str | None) -> None:
    """Remove the socket files of the kernel whose address is this."""
    if prefix:
        for path in glob.glob(f"{glob.escape(prefix)}-*"):
            _unlink(path)


def remove_dead(prefix: str) -> None:
    """Remove the socket files that nobody listens at: those of kernels that were killed."""
    for path in glob.glob(f"{glob.escape(prefix)}.*-*"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            if probe.connect_ex(path) != 0:
                _unlink(path)


def _unlink(path: str) -> None:
    with suppress(OSError):
        os.unlink(path)
