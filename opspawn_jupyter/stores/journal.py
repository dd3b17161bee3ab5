"""The journal: what makes an event durable before anybody is told of it.

Segments ``journal-<seq of the first event>.jsonl`` hold one line for each event: CRC-32 of the
JSON in eight hex digits, a sign, the JSON. The sign is a space on the first line of a batch and a
plus on those after it. A batch is one write and one sync. Behind the last of them there is room,
all zeros, because to write into a file as long as before takes half the time: its length and place
on the disk need not be written, too.

When the power goes, any part of the batch that was being written can be missing. It was never
acknowledged and is dropped at opening, from its first line that is not whole. A damaged line with
a batch behind it is an error, because what it said was promised to be kept.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import chain, pairwise, repeat
from pathlib import Path

from opspawn_jupyter import faults
from opspawn_jupyter.errors import StoreUnavailable
from opspawn_jupyter.model import wire
from opspawn_jupyter.model.event import Event

#: Above this a new segment is begun.
SEGMENT_BYTES = 16 * 1024 * 1024
#: Room that is made at once. It is written, not only reserved: that costs less than what the
#: system has to note down at the first use of reserved room.
_ROOM = bytes(256 * 1024)
#: Room that must be there before a full disk counts as repaired.
_PROBE_BYTES = 64 * 1024
_FIRST, _FURTHER = b" ", b"+"
#: macOS has no fdatasync.
_sync = getattr(os, "fdatasync", os.fsync)


def segments(directory: Path) -> list[Path]:
    """The files of the journal, oldest first."""
    return sorted(directory.glob("journal-*.jsonl"))


def read(directory: Path, *, is_tail_lenient: bool = False) -> Iterator[Event]:
    """Every event of the journal, in order; what ``mend`` would drop is passed over with
    ``is_tail_lenient``.

    Raises ``StoreUnavailable`` that names file and line of the first damaged one.
    """
    existing = segments(directory)
    for path in existing:
        end = _end(path) if is_tail_lenient and path == existing[-1] else path.stat().st_size
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                end -= len(line)
                if end < 0 or not line.strip(b"\0"):
                    break
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
        #: Where the room behind it ends.
        self._room_end = self._length
        #: Something may lie there that a failure has left.
        self._is_torn = False

    def append(self, bodies: Sequence[bytes], next_seq: int) -> None:
        """Write the events' JSON durably, all or none. ``next_seq`` follows the last of them.

        Raises ``StoreUnavailable``; nothing of the batch is then ever read back.
        """
        data = _batch(bodies)
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
        self._release()

    def _write(self, data: bytes) -> None:
        """Put the data behind what is whole, durably, or raise ``StoreUnavailable``."""
        try:
            self._restore()
            if self._is_torn:
                self._cut()
            _write(self._descriptor, data, self._length)
            self._make_room(self._length + len(data))
            faults.reach("store.before_sync")
            _sync(self._descriptor)
        except OSError as failure:
            self._take_back()
            raise _unwritable(self.directory, failure) from failure

    def _make_room(self, end: int) -> None:
        """Behind ``end``, which was written just now, where it is used up."""
        if end <= self._room_end:
            return
        self._room_end = end
        with suppress(OSError):  # a disk without so much room takes events all the same
            self._room_end += os.pwrite(self._descriptor, _ROOM, end)

    def _restore(self) -> None:
        """Give the open segment its name back where somebody has deleted it."""
        if os.fstat(self._descriptor).st_nlink:
            return
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = _open(self._path)
        try:
            _write(descriptor, os.pread(self._descriptor, self._length, 0), 0)
            _sync(descriptor)
        except OSError:
            os.close(descriptor)
            self._path.unlink(missing_ok=True)
            raise
        os.close(self._descriptor)
        self._descriptor, self._room_end = descriptor, self._length

    def _take_back(self) -> None:
        self._is_torn = True
        with suppress(OSError):  # the next append tries again before it writes
            self._cut()
            _sync(self._descriptor)

    def _cut(self) -> None:
        """Leave nothing behind what is whole. Raises ``OSError``."""
        os.ftruncate(self._descriptor, self._length)
        self._room_end, self._is_torn = self._length, False

    def _rotate(self, next_seq: int) -> None:
        path = _path(self.directory, next_seq)
        try:
            descriptor = _open(path)
        except OSError:
            return  # the present segment serves until a new one can be made
        self._release()
        self._path, self._descriptor, self._length, self._room_end = path, descriptor, 0, 0

    def _release(self) -> None:
        with suppress(OSError):  # room does no harm
            self._cut()
        os.close(self._descriptor)


def total_bytes(paths: Iterable[Path]) -> int:
    """What the files hold together; one that has gone counts nothing."""
    total = 0
    for path in paths:
        with suppress(FileNotFoundError):
            total += path.stat().st_size
    return total


def mend(directory: Path) -> int:
    """Drop room and what was never acknowledged; bytes dropped of the latter."""
    existing = segments(directory)
    if not existing:
        return 0
    end, size = _end(existing[-1]), existing[-1].stat().st_size
    dropped = len(existing[-1].read_bytes()[end:].rstrip(b"\0"))
    if end < size:
        os.truncate(existing[-1], end)
    return dropped


def _end(segment: Path) -> int:
    """Length of what must be kept of the last segment, whole or not."""
    data = segment.read_bytes()
    hole = data.find(b"\0")
    end = data.rfind(b"\n", 0, hole if hole >= 0 else len(data)) + 1
    behind = data[end:].split(b"\n")[:-1]
    is_damaged = any(_is_whole(line.rpartition(b"\0")[2], _FIRST) for line in behind)
    return len(data.rstrip(b"\0")) if is_damaged else end


def _path(directory: Path, first_seq: int) -> Path:
    return directory / f"journal-{first_seq:016d}.jsonl"


def _first_seq(path: Path) -> int:
    return int(path.stem.removeprefix("journal-"))


def _open(path: Path) -> int:
    is_new = not path.exists()
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
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


def _write(descriptor: int, data: bytes, place: int) -> None:
    remaining = memoryview(data)
    while remaining:
        written = os.pwrite(descriptor, remaining, place)
        remaining, place = remaining[written:], place + written


def _batch(bodies: Sequence[bytes]) -> bytes:
    return b"".join(map(_line, bodies, chain((_FIRST,), repeat(_FURTHER))))


def _line(body: bytes, sign: bytes) -> bytes:
    return b"%08x%s%s\n" % (zlib.crc32(body), sign, body)


def _is_whole(line: bytes, *signs: bytes) -> bool:
    """Whether this is what ``_line`` has made, less its end, with one of the signs."""
    return line[8:9] in signs and line[:8] == b"%08x" % zlib.crc32(line[9:])


def _event(line: bytes, path: Path, number: int) -> Event:
    body = line[9:-1]
    if not line.endswith(b"\n") or not _is_whole(line[:-1], _FIRST, _FURTHER):
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
