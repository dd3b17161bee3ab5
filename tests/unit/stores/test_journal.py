"""The journal's files: what is read back, what is dropped, what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from opspawn_jupyter.errors import StoreUnavailable
from opspawn_jupyter.model.event import Event
from opspawn_jupyter.stores import chain, segments
from opspawn_jupyter.stores.journal import SEGMENT_BYTES, Journal
from tests.contract.store_steps import life


def fill(directory: Path, lives: int = 1, segment_bytes: int = SEGMENT_BYTES) -> list[Event]:
    """Write some tasks' events, a batch for each task."""
    written: list[Event] = []
    open_end = Journal(directory, 1, segment_bytes)
    for _ in range(lives):
        bodies = []
        for draft in life():
            previous = written[-1].hash if written else ""
            event, body = chain.link(draft, len(written) + 1, previous)
            written.append(event)
            bodies.append(body)
        open_end.append(bodies)
        open_end.prepare(len(written) + 1)
    open_end.close()
    return written


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    """Over all segments, in order, exactly."""
    written = fill(tmp_path, lives=10, segment_bytes=4000)

    assert list(segments.read(tmp_path)) == written
    assert chain.first_break(segments.read(tmp_path)) is None
    assert len(segments.segments(tmp_path)) > 3


@pytest.mark.parametrize("kept", [0, 1, 8, 9, 10, 150, -1])
def test_a_torn_end_is_dropped(tmp_path: Path, kept: int) -> None:
    """Power went off in the middle of a line: it was never acknowledged."""
    written = fill(tmp_path)
    (path,) = segments.segments(tmp_path)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]) + lines[-1][:kept])

    dropped = segments.mend(tmp_path)

    assert dropped == len(lines[-1][:kept])
    assert list(segments.read(tmp_path)) == written[:-1]
    assert path.read_bytes() == b"".join(lines[:-1])


@pytest.mark.parametrize("lives", [1, 3])
def test_any_part_of_the_last_batch_may_be_missing(tmp_path: Path, lives: int) -> None:
    """The power goes while it is written: the system writes its blocks in any order. Wherever the
    hole is, what was acknowledged before is there, and writing goes on."""
    written = fill(tmp_path, lives)
    (path,) = segments.segments(tmp_path)
    whole = path.read_bytes()
    acknowledged = whole.index(b'{"seq":%d,' % written[-8].seq) - 9
    ends = [place for place, byte in enumerate(whole, start=1) if byte == ord("\n")]
    for begin in range(acknowledged, len(whole), 97):
        for length in (1, 60, 700, len(whole)):
            hole = bytes(min(length, len(whole) - begin))
            path.write_bytes(whole[:begin] + hole + whole[begin + len(hole) :] + bytes(300))

            segments.mend(tmp_path)

            left = sum(end <= begin for end in ends)
            assert path.stat().st_size == ([0, *ends])[left]
            assert list(segments.read(tmp_path)) == written[:left]


def test_a_hole_with_a_batch_behind_it_is_refused(tmp_path: Path) -> None:
    """A batch is written when the one before is durable: this was acknowledged, and the disk has
    lost it."""
    written = fill(tmp_path, lives=3)
    (path,) = segments.segments(tmp_path)
    whole = path.read_bytes()
    lost = whole.index(b'{"seq":%d,' % written[-12].seq)
    last = whole.index(b'{"seq":%d,' % written[-8].seq) - 9
    for end in (lost + 1, last):
        path.write_bytes(whole[:lost] + bytes(end - lost) + whole[end:] + bytes(300))

        assert segments.mend(tmp_path) == 0
        with pytest.raises(StoreUnavailable, match=r"line 13 is damaged"):
            list(segments.read(tmp_path))


def test_room_is_no_event_and_goes_at_the_end(tmp_path: Path) -> None:
    """A killed process leaves it, in the last segment and in one that was full at that moment; one
    that ends well does not."""
    written = fill(tmp_path, lives=10, segment_bytes=4000)
    kept = [path.read_bytes() for path in segments.segments(tmp_path)]
    for path, data in zip(segments.segments(tmp_path), kept, strict=True):
        path.write_bytes(data + bytes(100_000))

    assert list(segments.read(tmp_path)) == written
    assert segments.mend(tmp_path) == 0
    assert segments.segments(tmp_path)[-1].read_bytes() == kept[-1]
    assert not any(b"\0" in data for data in kept)


@pytest.mark.parametrize("line", [1, 4, 8])
def test_a_damaged_line_is_refused_by_file_and_line(tmp_path: Path, line: int) -> None:
    """It was acknowledged; going on without it would be a silent loss."""
    fill(tmp_path)
    (path,) = segments.segments(tmp_path)
    lines = path.read_bytes().splitlines(keepends=True)
    lines[line - 1] = lines[line - 1].replace(b"task", b"tosk", 1)
    path.write_bytes(b"".join(lines))

    assert segments.mend(tmp_path) == 0
    with pytest.raises(StoreUnavailable, match=rf"{path.name}.*line {line} is damaged"):
        list(segments.read(tmp_path))


def test_segments_go_once_all_their_events_are_applied(tmp_path: Path) -> None:
    """The journal stays small, and nothing that the database lacks goes with it."""
    written = fill(tmp_path, lives=10, segment_bytes=4000)
    open_end = Journal(tmp_path, len(written) + 1)

    open_end.prune(applied=30)
    kept = list(segments.read(tmp_path))
    open_end.prune(applied=len(written))
    open_end.close()

    assert 1 < kept[0].seq <= 31
    assert kept == written[kept[0].seq - 1 :]
    assert len(segments.segments(tmp_path)) == 1


def test_a_segment_that_is_deleted_between_two_events_comes_back(tmp_path: Path) -> None:
    """What is acknowledged must lie in a file that has a name, from the next event on."""
    open_end = Journal(tmp_path, 1)
    written: list[Event] = []
    for seq, draft in enumerate(life(), start=1):
        event, body = chain.link(draft, seq, written[-1].hash if written else "")
        open_end.append([body])
        written.append(event)
        assert list(segments.read(tmp_path)) == written
        segments.segments(tmp_path)[0].unlink()
    open_end.close()

    assert len(written) > 2
