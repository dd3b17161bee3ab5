"""Everything that a kernel has started, so that it ends with the kernel.

A process that loses its parent becomes the child of the next *subreaper* above it (prctl(2)). Each
kernel is one, so what hangs on the fork server without being a kernel came from one that is gone.
"""

from __future__ import annotations

import ctypes
import os
import signal
import time
from collections.abc import Collection, Iterator
from contextlib import suppress

_PR_SET_CHILD_SUBREAPER = 36
#: What a process that cannot be killed gets, being stuck in the system; and between two looks.
_END_SECONDS = 2.0
_PAUSE_SECONDS = 0.002
_READ_BYTES = 1 << 16
_LIBC = ctypes.CDLL(None, use_errno=True)


def adopt_orphans() -> None:
    """Become the parent of descendants that lose theirs."""
    _LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def has_children() -> bool:
    """Whether this process has any, also such as only have to be waited for; yes where the system
    does not tell."""
    if not hasattr(os, "waitid"):
        return True
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def kill_strays(known: Collection[int]) -> None:
    """Kill our children that are not known, with all below them."""
    for pid in [pid for pid in _children(os.getpid()) if pid not in known]:
        for stray in [*_descendants(pid), pid]:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(stray, signal.SIGKILL)


def end_all() -> None:
    """Kill and collect everything below us; what is started meanwhile, too."""
    deadline = time.monotonic() + _END_SECONDS
    while _children(os.getpid()) and time.monotonic() < deadline:
        kill_strays(())
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        time.sleep(_PAUSE_SECONDS)


def _descendants(pid: int) -> Iterator[int]:
    for child in _children(pid):
        yield from _descendants(child)
        yield child


def _children(pid: int) -> list[int]:
    """None for a process that is gone."""
    found: list[int] = []
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            told = _read(f"/proc/{pid}/task/{thread}/children")
            found.extend(int(child) for child in told.split())
    except (FileNotFoundError, ProcessLookupError):
        pass
    return found


def _read(path: str) -> bytes:
    """Python's files take longer to make than this, and it is asked at each kernel's end."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        parts = []
        while part := os.read(descriptor, _READ_BYTES):
            parts.append(part)
        return b"".join(parts)
    finally:
        os.close(descriptor)
