"""What a fork does first: it becomes a process of its own, tied to the fork server's life."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

from . import steady

_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15
_LIBC = ctypes.CDLL(None, use_errno=True)


def begin(server_pid: int) -> None:
    """Own session and process group, default signals, fresh randomness; dies with the server."""
    signal.set_wakeup_fd(-1)
    for signum in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(signum, signal.SIG_DFL)
    # Until the kernel can tell what an interrupt is for, it must not end it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    steady.defer()
    os.setsid()
    _die_with(server_pid)
    _LIBC.prctl(_PR_SET_NAME, b"ipykernel")
    _renew_randomness()


def _die_with(server_pid: int) -> None:
    _LIBC.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))
    if os.getppid() != server_pid:  # it died before it could be told to the kernel
        os._exit(1)


def _renew_randomness() -> None:
    """Different numbers in each kernel. ``random``, ``uuid`` and ``secrets`` see to it alone."""
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random is not None:
        numpy_random.seed()
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.seed()
    processes = sys.modules.get("multiprocessing.process")
    if processes is not None:
        processes.current_process().authkey = os.urandom(32)
