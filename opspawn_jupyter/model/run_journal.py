"""``events.jsonl``: what is known of a task's attempts where it runs, for whoever was not told.

Only ever appended to, whole lines by a single system call each: whoever dies, what was written
stays readable. Of a line for which there was no more room nothing stays.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from opspawn_jupyter.files import write_all
from opspawn_jupyter.model import wire
from opspawn_jupyter.model.work import ReportedEvent

logger = logging.getLogger(__name__)


def open_journal(path: Path | str) -> int:
    """A descriptor to append with. Raises ``OSError``."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
    _end_line(descriptor)
    return descriptor


def append(descriptor: int, attempt: int, events: Iterable[ReportedEvent]) -> None:
    """Put the events down. Raises ``OSError``; some of them may stand there then."""
    try:
        write_all(descriptor, _lines(attempt, events))
    except OSError:
        with suppress(OSError):
            _cut_line(descriptor)
        raise


def _lines(attempt: int, events: Iterable[ReportedEvent]) -> bytes:
    start = f'{{"attempt": {attempt}, '
    return "".join([f"{start}{event.text[1:]}\n" for event in events]).encode()


def events(path: Path, attempt: int) -> tuple[ReportedEvent, ...]:
    """The attempt's events; none where none was ever written."""
    try:
        found = path.read_bytes().splitlines(keepends=True)
    except OSError:
        logger.warning("journal of a run cannot be read path=%s", path)
        return ()
    return tuple(_readable(found, attempt))


def _readable(found: list[bytes], attempt: int) -> Iterator[ReportedEvent]:
    for line in found:
        try:
            record = json.loads(line)
            if record["attempt"] == attempt:
                yield wire.decode(ReportedEvent, record)
        except (ValueError, KeyError, TypeError):
            # Whoever wrote this one died then; or a cell has been at the file.
            logger.warning("journal of a run has an unreadable line attempt=%s", attempt)


def _end_line(descriptor: int) -> None:
    """A worker that was killed at an earlier attempt may have left half a line."""
    size = os.fstat(descriptor).st_size
    if size and os.pread(descriptor, 1, size - 1) != b"\n":
        write_all(descriptor, b"\n")


def _cut_line(descriptor: int) -> None:
    """What comes next would be as unreadable as the half line before it."""
    written = os.pread(descriptor, os.fstat(descriptor).st_size, 0)
    os.ftruncate(descriptor, written.rfind(b"\n") + 1)
