"""The files of the journal.

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
from itertools import chain, repeat
from pathlib import Path

from opspawn_jupyter.errors import StoreUnavailable
from opspawn_jupyter.model import wire
from opspawn_jupyter.model.event import Event

_FIRST, _FURTHER = b" ", b"+"


def segments(directory: Path) -> list[Path]:
    """The files of the journal, oldest first."""
    return sorted(directory.glob("journal-*.jsonl"))


def path_of(directory: Path, first_seq: int) -> Path:
    """Of the segment that begins with this event."""
    return directory / f"journal-{first_seq:016d}.jsonl"


def first_seq(path: Path) -> int:
    """With which event the segment begins."""
    return int(path.stem.removeprefix("journal-"))


def read(directory: Path, *, is_tail_lenient: bool = False) -> Iterator[Event]:
    """Every event of the journal, as ``lines`` gives them."""
    return map(event, lines(directory, is_tail_lenient=is_tail_lenient))


def event(line: bytes) -> Event:
    """The event of this JSON."""
    return wire.decode(Event, json.loads(line))


def lines(directory: Path, *, is_tail_lenient: bool = False) -> Iterator[bytes]:
    """The JSON of every event of the journal, in order; what ``mend`` would drop is passed over
    with ``is_tail_lenient``.

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
                yield _body(line, path, number)


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


def total_bytes(paths: Iterable[Path]) -> int:
    """What the files hold together; one that has gone counts nothing."""
    total = 0
    for path in paths:
        with suppress(FileNotFoundError):
            total += path.stat().st_size
    return total


def batch(bodies: Sequence[bytes]) -> bytes:
    """The lines of events that are written together, of which these are the JSON."""
    return b"".join(map(_line, bodies, chain((_FIRST,), repeat(_FURTHER))))


def _end(segment: Path) -> int:
    """Length of what must be kept of the last segment, whole or not."""
    data = segment.read_bytes()
    hole = data.find(b"\0")
    end = data.rfind(b"\n", 0, hole if hole >= 0 else len(data)) + 1
    behind = data[end:].split(b"\n")[:-1]
    is_damaged = any(_is_whole(line.rpartition(b"\0")[2], _FIRST) for line in behind)
    return len(data.rstrip(b"\0")) if is_damaged else end


def _line(body: bytes, sign: bytes) -> bytes:
    return b"%08x%s%s\n" % (zlib.crc32(body), sign, body)


def _is_whole(line: bytes, *signs: bytes) -> bool:
    """Whether this is what ``_line`` has made, less its end, with one of the signs."""
    return line[8:9] in signs and line[:8] == b"%08x" % zlib.crc32(line[9:])


def _body(line: bytes, path: Path, number: int) -> bytes:
    if not line.endswith(b"\n") or not _is_whole(line[:-1], _FIRST, _FURTHER):
        raise StoreUnavailable(
            str(path),
            hint=f"line {number} is damaged; restore the file from a backup, or stop the server "
            "and run `opspawn store rebuild`",
        )
    return line[9:-1]
