"""Ending processes together with everything that they started."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Iterable
from contextlib import suppress

import psutil

#: ``prctl`` operation (linux/prctl.h): orphans among our descendants become our children.
_PR_SET_CHILD_SUBREAPER = 36


def descendants(pid: int) -> list[psutil.Process]:
    """Every process that this one started, and theirs; empty where it is gone.

    To be asked before the process is ended: a process whose parent is gone cannot be traced.
    """
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.Error:
        return []


def marked(name: str, value: str) -> list[psutil.Process]:
    """Every process that was started with this environment variable, but for ourselves.

    Finds what no process tree shows any more: children of a process that is gone.
    """
    return [
        process
        for process in psutil.process_iter()
        if process.pid != os.getpid() and _carries(process, name, value)
    ]


def _carries(process: psutil.Process, name: str, value: str) -> bool:
    try:
        return bool(process.environ().get(name) == value)
    except (psutil.Error, OSError):  # gone, or another user's
        return False


def signal_group(leader: int, signum: int) -> None:
    """Signal the process group that this process leads, or led; nothing where none is left."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signum)


def kill(processes: Iterable[psutil.Process]) -> None:
    """Kill those that still live. psutil makes sure that no reused process id is hit."""
    for process in processes:
        with suppress(psutil.Error):
            process.kill()


def kill_session(leader: int, also: Iterable[psutil.Process] = ()) -> None:
    """Kill the group that the process leads, all its descendants, and ``also``."""
    doomed = [*also, *descendants(leader)]
    signal_group(leader, signal.SIGKILL)
    kill(doomed)


def adopt_orphans() -> None:
    """Make this process the parent of descendants that lose theirs, so that none escapes a
    cancel by a double fork or by outliving its kernel. Does nothing where the system is not
    Linux; process groups are all there is then."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def signal_name(exit_code: int | None) -> str | None:
    """``SIGKILL`` for -9, as subprocess and multiprocessing give exit codes; else None."""
    if exit_code is None or exit_code >= 0:
        return None
    try:
        return signal.Signals(-exit_code).name
    except ValueError:  # a real-time signal has no name
        return f"signal {-exit_code}"
