"""The journal that lies in a run directory."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from opspawn_jupyter.model import run_journal
from opspawn_jupyter.model.clock import now
from opspawn_jupyter.model.states import EventType
from opspawn_jupyter.model.work import ReportedEvent


def event(number: int) -> ReportedEvent:
    data = {"name": "x", "value": "y" * 100}
    return ReportedEvent(type=EventType.STEP_OUTPUT, at=now(), data=data, number=number)


@contextmanager
def room_for(size_bytes: int) -> Iterator[None]:
    """No file grows beyond that, as on a disk that is full."""
    most, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, hard))
        signal.signal(signal.SIGXFSZ, handler)


def test_a_line_for_which_there_was_no_room_does_not_spoil_the_next(tmp_path: Path) -> None:
    """The next may be the outcome, and its worker may die before it can tell anybody."""
    path = tmp_path / "events.jsonl"
    descriptor = run_journal.open_journal(path)
    run_journal.append(descriptor, 1, [event(1)])

    with room_for(path.stat().st_size + 50), pytest.raises(OSError, match="File too large"):
        run_journal.append(descriptor, 1, [event(2)])
    run_journal.append(descriptor, 1, [event(3)])
    os.close(descriptor)

    assert [one.number for one in run_journal.events(path, 1)] == [1, 3]


def test_of_some_events_those_that_were_written_whole_stay(tmp_path: Path) -> None:
    """They have happened."""
    path = tmp_path / "events.jsonl"
    descriptor = run_journal.open_journal(path)
    run_journal.append(descriptor, 1, [event(1)])

    with room_for(2 * path.stat().st_size + 50), pytest.raises(OSError, match="File too large"):
        run_journal.append(descriptor, 1, [event(2), event(3)])
    os.close(descriptor)

    assert [one.number for one in run_journal.events(path, 1)] == [1, 2]
    assert path.read_bytes().endswith(b"}\n")
