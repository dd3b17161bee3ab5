"""A file that is open and that somebody deletes meanwhile.

The system keeps such a file until it is closed, so nothing is lost yet: Linux shows it under
``/proc/self/fd``, and a copy of it can be given the old name.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

from opspawn_jupyter.errors import StoreUnavailable

Identity = tuple[int, int]

_DESCRIPTORS = Path("/proc/self/fd")
_DELETED = " (deleted)"


def identity(path: Path) -> Identity:
    """What tells the file at the path from every other one."""
    status = path.stat()
    return status.st_dev, status.st_ino


def is_at(known: Identity, path: Path) -> bool:
    """Whether the path still names this file."""
    try:
        return identity(path) == known
    except OSError:
        return False


class Rescue:
    """Hold on a deleted file and the write-ahead log beside it, until a copy has proved good."""

    def __init__(self, path: Path, known: Identity) -> None:
        """Raises ``StoreUnavailable`` where another file has the place or no trace is left."""
        if path.exists():
            raise _lost(path, "another file has taken its place")
        with ExitStack() as stack:
            log = path.with_name(f"{path.name}.wal")
            # The log first: the database's presence says that all is done.
            self._copies = [(stack.enter_context(file), log) for file in _named(log)]
            own = next((file for file in _named(path) if _is(file, known)), None)
            if own is None:
                raise _lost(path, "it was deleted")
            self._copies.append((stack.enter_context(own), path))
            self._files = stack.pop_all()

    def put_back(self) -> None:
        """Copy both to where they were, whatever is there. Raises ``OSError``."""
        for file, path in self._copies:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _copy(file, path)

    def close(self) -> None:
        """Let go."""
        self._files.close()


def _named(path: Path) -> Iterator[BinaryIO]:
    """Files that this process has open under the name, deleted ones too."""
    if not _DESCRIPTORS.is_dir():
        return
    for descriptor in list(_DESCRIPTORS.iterdir()):
        try:
            if str(descriptor.readlink()) in (str(path), f"{path}{_DELETED}"):
                yield descriptor.open("rb")
        except OSError:
            continue  # closed in the meantime


def _is(file: BinaryIO, known: Identity) -> bool:
    status = os.fstat(file.fileno())
    return (status.st_dev, status.st_ino) == known


def _copy(source: BinaryIO, path: Path) -> None:
    temporary = path.with_name(f".{path.name}.tmp")
    source.seek(0)
    with temporary.open("wb") as writing:
        shutil.copyfileobj(source, writing, 1 << 20)
        writing.flush()
        os.fsync(writing.fileno())
    temporary.replace(path)


def _lost(path: Path, reason: str) -> StoreUnavailable:
    return StoreUnavailable(
        str(path),
        hint=f"{reason} while the server was using it; restore it, or stop the server and run "
        "`opspawn store rebuild`",
    )
