"""The journal: what makes an event durable before anybody is told of it.

How its files look tells ``segments.py``.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

from opspawn_jupyter import faults
from opspawn_jupyter.errors import StoreUnavailable
from opspawn_jupyter.stores.segments import batch, first_seq, path_of, segments

#: Above this a new segment is begun.
SEGMENT_BYTES = 16 * 1024 * 1024
#: Room that is made at once. It is written, not only reserved: that costs less than what the
#: system has to note down at the first use of reserved room.
_ROOM = bytes(256 * 1024)
#: When less is left, more is made.
_LEAST_ROOM = 128 * 1024
#: Room that must be there before a full disk counts as repaired.
_PROBE_BYTES = 64 * 1024
#: How often the journal looks whether its file is still the one that it had a name for.
_LOOK_SECONDS = 0.05
#: macOS has no fdatasync.
_sync = getattr(os, "fdatasync", os.fsync)


class Journal:
    """The journal's open end. Used by one thread at a time; ``prune`` at any time."""

    def __init__(self, directory: Path, next_seq: int, segment_bytes: int = SEGMENT_BYTES) -> None:
        existing = segments(directory)
        self.directory = directory
        self._segment_bytes = segment_bytes
        self._path = existing[-1] if existing else path_of(directory, next_seq)
        self._descriptor = _open(self._path)
        #: Length of what is known to be whole.
        self._length = os.fstat(self._descriptor).st_size
        #: Where the room behind it ends.
        self._room_end = self._length
        #: Something may lie there that a failure has left.
        self._is_torn = False
        self._looked_at = 0.0

    def append(self, bodies: Sequence[bytes]) -> None:
        """Write the events' JSON durably, all or none.

        Raises ``StoreUnavailable``; nothing of the batch is then ever read back.
        """
        data = batch(bodies)
        self._write(data)
        self._length += len(data)

    @property
    def is_prepared(self) -> bool:
        """Whether the next events find all as it should be; else ``prepare`` helps."""
        has_room = self._room_end - self._length >= _LEAST_ROOM
        return has_room and self._length <= self._segment_bytes

    def prepare(self, next_seq: int) -> None:
        """Make room, or a new segment where this one is full. ``next_seq`` follows its last event.

        It takes longer than to append; what cannot be made is done without.
        """
        if self._length > self._segment_bytes:
            self._rotate(next_seq)
        if not self.is_prepared and not self._is_torn:
            self._make_room()

    def probe(self) -> None:
        """Find out whether writing works. Raises ``StoreUnavailable`` where it does not."""
        # Without the end of a line: should this process die now, it is dropped at opening.
        self._write(b"0" * _PROBE_BYTES)
        self._take_back()

    def prune(self, applied: int) -> None:
        """Remove the segments whose events are all at or before ``applied``."""
        existing = segments(self.directory)
        for path, following in pairwise(existing):
            if first_seq(following) <= applied + 1:
                path.unlink()

    def close(self) -> None:
        """Release the file."""
        self._release()

    def _write(self, data: bytes) -> None:
        """Put the data behind what is whole, durably, or raise ``StoreUnavailable``."""
        try:
            if not self._is_in_place():
                self._restore()
            if self._is_torn:
                self._cut()
            _write(self._descriptor, data, self._length)
            faults.reach("store.before_sync")
            _sync(self._descriptor)
        except OSError as failure:
            self._take_back()
            raise _unwritable(self.directory, failure) from failure

    def _make_room(self) -> None:
        self._room_end = max(self._room_end, self._length)
        with suppress(OSError):  # a disk without so much room takes events all the same
            self._room_end += os.pwrite(self._descriptor, _ROOM, self._room_end)
            _sync(self._descriptor)

    def _restore(self) -> None:
        """Give the open segment, which somebody has deleted, its name back."""
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

    def _is_in_place(self) -> bool:
        """Mostly a look for the name. A file whose times somebody has asked for, as ``fstat`` does,
        gets exact ones at the next write, and Linux then syncs those too: half as long again."""
        now = time.monotonic()
        if now - self._looked_at < _LOOK_SECONDS and os.access(self._path, os.F_OK):
            return True
        self._looked_at = now
        return os.fstat(self._descriptor).st_nlink > 0

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
        path = path_of(self.directory, next_seq)
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
    written = os.pwrite(descriptor, data, place)
    if written < len(data):
        _write(descriptor, data[written:], place + written)


def _unwritable(directory: Path, failure: OSError) -> StoreUnavailable:
    return StoreUnavailable(
        str(directory),
        hint=f"{failure.strerror}: make room there or repair the disk, then try again",
    )
