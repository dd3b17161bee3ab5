"""Private directories for the sockets of kernels, and their end.

They lie in the system's directory for temporary files because the path of a socket may be no
longer than a hundred bytes, which a run directory's easily is.
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

import psutil

_PREFIX = "opspawn-"


#: One that nobody uses so far.
_ahead: Path | None = None


def private_directory() -> Path:
    """A new directory that only this user may enter; its name tells this process."""
    global _ahead
    ahead, _ahead = _ahead, None
    if ahead is not None and _is_own(ahead):
        return ahead
    return _made()


def make_ahead() -> None:
    """Have the next one there already: on a disk it takes as long as a small cell."""
    global _ahead  # noqa: PLW0603  as above
    with suppress(OSError):  # whoever needs it is told
        _ahead = _ahead or _made()


def forget_ahead() -> None:
    """Remove what nobody has used."""
    global _ahead
    ahead, _ahead = _ahead, None
    if ahead is not None:
        shutil.rmtree(ahead, ignore_errors=True)


def _is_own(directory: Path) -> bool:
    """It may have lain there for so long that it was removed, and another one made by somebody."""
    try:
        found = directory.lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()


def _made() -> Path:
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
