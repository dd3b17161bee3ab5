"""The socket files of kernels that are reached by ipc."""

from __future__ import annotations

import glob
import os
import socket
from contextlib import suppress


def remove(prefix: str | None) -> None:
    """Remove the socket files of the kernel whose address is this.

    Asked at each kernel's end, so not with ``glob``, which makes a pattern of each prefix.
    """
    if prefix:
        directory, name = os.path.split(prefix)
        for found in _names(directory):
            if found.startswith(f"{name}-"):
                _unlink(os.path.join(directory, found))


def remove_dead(prefix: str) -> None:
    """Remove the socket files that nobody listens at: those of kernels that were killed."""
    for path in glob.glob(f"{glob.escape(prefix)}.*-*"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            if probe.connect_ex(path) != 0:
                _unlink(path)


def _names(directory: str) -> list[str]:
    try:
        return os.listdir(directory or ".")
    except OSError:  # it is gone, and they with it
        return []


def _unlink(path: str) -> None:
    with suppress(OSError):
        os.unlink(path)
