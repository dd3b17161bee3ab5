"""Private directories for the sockets of kernels, and their end.

They lie in the system's directory for temporary files because the path of a socket may be no
longer than a hundred bytes, which a run directory's easily is.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import psutil

_PREFIX = "opspawn-"


def private_directory() -> Path:
    """A new directory that only this user may enter; its name tells this process."""
    return Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-"))


def forget(pid: int) -> None:
    """Remove what a process left that could not do so itself."""
    for directory in _all():
        if _owner(directory) == str(pid):
            shutil.rmtree(directory, ignore_errors=True)


def sweep() -> None:
    """Remove what is left of processes that were killed together with whoever looked after
    them."""
    for directory in _all():
        owner = _owner(directory)
        if owner.isdecimal() and not psutil.pid_exists(int(owner)):
            shutil.rmtree(directory, ignore_errors=True)  # those of other users stay


def _all() -> list[Path]:
    return list(Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"))


def _owner(directory: Path) -> str:
    return directory.name.removeprefix(_PREFIX).partition("-")[0]
