"""The journal: what makes an event durable before anybody is told of it.

Segments ``journal-<seq of the first event>.jsonl`` hold one line for each event: CRC-32 of the
JSON in eight hex digits, a space, the JSON. A batch of events is one write and one sync. A last
line without its end was never acknowledged and is dropped at opening; a damaged line anywhere
else is an error, because what it said was promised to be kept.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

from opspawn_jupyter import faults
from opspawn_jupyter.errors import StoreUnavailable
from opspawn_jupyter.model import wire
from opspawn_jupyter.model.event import Event

#: Above this a new segment is begun.
SEGMENT_BYTES = 16 * 1024 * 1024
#: Room that must be there before a full disk counts as repaired.
_PROBE_BYTES = 64 * 1024
#: macOS has no fdatasync.
_sync = getattr(os, "fdatasync", os.fsync)


def segments(directory: Path) -> list[Path]:
    """The files of the journal, oldest first."""
    return sorted(directory.glob("journal-*.jsonl"))


def read(directory: Path, *, is_tail_lenient: bool = False) -> Iterator[Event]:
    """Every event of the journal, in order; a last line without its end is passed over with
    ``is_tail_lenient``.

    Raises ``StoreUnavailable`` that names file and line of the first damaged one.
    """
    existing = segments(directory)
    for path in existing:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if is_tail_lenient and path == existing[-1] and not line.endswith(b"\n"):
                    return
                yield _event(line, path, number)


class Journal:
    """The journal's open end. Used by one thread; ``prune`` may be called from another."""

    def __init__(self, directory: Path, next_seq: int, segment_bytes: int = SEGMENT_BYTES) -> None:
        existing = segments(directory)
        self.directory = directory
        self._segment_bytes = segment_bytes
        self._path = existing[-1] if existing else _path(directory, next_seq)
        self._descriptor = _open(self._path)
        #: Length of what is known to be whole.
        self._length = os.fstat(self._descriptor).st_size

    def append(self, bodies: Sequence[bytes], next_seq: int) -> None:
        """Write the events' JSON durably, all or none. ``next_seq`` follows the last of them.

        Raises ``StoreUnavailable``; nothing of the batch is then ever read back.
        """
        data = b"".join(_line(body) for body in bodies)
        self._write(data)
        self._length += len(data)
        if self._length > self._segment_bytes:
            self._rotate(next_seq)

    def probe(self) -> None:
        """Find out whether writing works. Raises ``StoreUnavailable`` where it does not."""
        # Without the end of a line: should this process die now, it is dropped at opening.
        self._write(b"0" * _PROBE_BYTES)
        self._take_back()

    def prune(self, applied: int) -> None:
        """Remove the segments whose events are all at or before ``applied``."""
        existing = segments(self.directory)
        for path, following in pairwise(existing):
            if _first_seq(following) <= applied + 1:
                path.unlink()

    def close(self) -> None:
        """Release the file."""
        os.close(self._descriptor)

    def _write(self, data: bytes) -> None:
        """Put the data behind what is whole, durably, or raise ``StoreUnavailable``."""
        try:
            self._restore()
            # What an earlier failure could not take back goes now, or nothing is written.
            os.ftruncate(self._descriptor, self._length)
            _write(self._descriptor, data)
            faults.reach("store.before_sync")
            _sync(self._descriptor)
        except OSError as failure:
            self._take_back()
            raise _unwritable(self.directory, failure) from failure

    def _restore(self) -> None:
        """Give the open segment its name back where somebody has deleted it."""
        if os.fstat(self._descriptor).st_nlink:
            return
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = _open(self._path)
        try:
            _write(descriptor, os.pread(self._descriptor, self._length, 0))
            _sync(descriptor)
        except OSError:
            os.close(descriptor)
            self._path.unlink(missing_ok=True)
            raise
        os.close(self._descriptor)
        self._descriptor = descriptor

    def _take_back(self) -> None:
        try:
            os.ftruncate(self._descriptor, self._length)
            _sync(self._descriptor)
        except OSError:
            return  # the next append tries again before it writes

    def _rotate(self, next_seq: int) -> None:
        path = _path(self.directory, next_seq)
        try:
            descriptor = _open(path)
        except OSError:
            return  # the present segment serves until a new one can be made
        os.close(self._descriptor)
        self._path, self._descriptor, self._length = path, descriptor, 0


def total_bytes(paths: Iterable[Path]) -> int:
    """What the files hold together; one that has gone counts nothing."""
    total = 0
    for path in paths:
        with suppress(FileNotFoundError):
            total += path.stat().st_size
    return total


def mend(directory: Path) -> int:
    """Drop a last line that has no end; bytes dropped."""
    existing = segments(directory)
    if not existing:
        return 0
    data = existing[-1].read_bytes()
    whole = data.rfind(b"\n") + 1
    if whole < len(data):
        os.truncate(existing[-1], whole)
    return len(data) - whole


def _path(directory: Path, first_seq: int) -> Path:
    return directory / f"journal-{first_seq:016d}.jsonl"


def _first_seq(path: Path) -> int:
    return int(path.stem.removeprefix("journal-"))


def _open(path: Path) -> int:
    is_new = not path.exists()
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    if is_new:
        _sync_directory(path.parent)
    return descriptor


def _sync_directory(directory: Path) -> None:
    """Make a new file's name durable, too."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write(descriptor: int, data: bytes) -> None:
    remaining = memoryview(data)
    while remaining:
        remaining = remaining[os.write(descriptor, remaining) :]


def _line(body: bytes) -> bytes:
    return b"%08x %s\n" % (zlib.crc32(body), body)


def _event(line: bytes, path: Path, number: int) -> Event:
    body = line[9:-1]
    if line[:9] != b"%08x " % zlib.crc32(body) or not line.endswith(b"\n"):
        raise StoreUnavailable(
            str(path),
            hint=f"line {number} is damaged; restore the file from a backup, or stop the server "
            "and run `opspawn store rebuild`",
        )
    return wire.decode(Event, json.loads(body))


def _unwritable(directory: Path, failure: OSError) -> StoreUnavailable:
    return StoreUnavailable(
        str(directory),
        hint=f"{failure.strerror}: make room there or repair the disk, then try again",
    )
