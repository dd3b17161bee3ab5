"""The chain of hashes over the events."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from opspawn_jupyter.model import event_hash
from opspawn_jupyter.model.change import changed
from opspawn_jupyter.model.event import Draft, Event
from opspawn_jupyter.model.event_hash import body, compact, members
from opspawn_jupyter.model.states import EventType
from opspawn_jupyter.stores import chain, rows
from tests.contract.store_steps import life


def chained() -> list[Event]:
    """The events of one task's life."""
    events: list[Event] = []
    for seq, draft in enumerate(life(), start=1):
        event, _ = chain.link(draft, seq, events[-1].hash if events else "")
        events.append(event)
    return events


def test_an_untouched_chain_has_no_break() -> None:
    """Also after the detour through the database's columns."""
    events = chained()

    assert chain.first_break(events) is None
    assert chain.first_break(rows.event(rows.event_row(event)) for event in events) is None
    assert chain.first_break(events[3:], events[2].hash) is None


def test_changed_dropped_and_swapped_events_break_it() -> None:
    """Audits rest on it: whoever edits history is found at the first edited event."""
    events = chained()
    changed = [*events[:4], replace(events[4], data={"index": 7}), *events[5:]]
    dropped = [*events[:4], *events[5:]]
    swapped = [*events[:4], events[5], events[4], *events[6:]]

    assert chain.first_break(changed) == changed[4]
    assert chain.first_break(dropped) == events[5]
    assert chain.first_break(swapped) == events[5]
    assert chain.first_break(events[1:]) == events[1]


def test_what_the_journal_has_of_an_event_is_told_as_it_stands() -> None:
    """To make the JSON of an event once more for its listeners takes as long as to store it; of an
    event that was made of another one, it would not be true."""
    event, line = chain.link(Draft(task_id="t", type=EventType.STARTED, data={"é": 1}), 7, "")
    other = changed(event, seq=8, hash="")

    assert event_hash.written_of(event) == line.decode()
    assert json.loads(line)["hash"] == event.hash
    assert event_hash.written_of(other) is None


def test_the_database_has_of_an_event_what_the_journal_has() -> None:
    """Its data is cut out of the line that was written, and may hold what looks like one."""
    odd: dict[str, Any] = {'"data":': ['"data":{}', ',"hash":"x"}'], "☃": {"data": [1.5, None]}}
    draft = Draft(task_id='t"data":', type=EventType.STEP_OUTPUT, data=odd)
    event, _ = chain.link(draft, 7, "")

    assert rows.event(rows.event_row(event)) == event
    assert event_hash.written_data(event) == compact(odd)
    assert event_hash.written_data(changed(event, data={}, hash="")) == "{}"


def test_what_is_hashed_is_compact_json() -> None:
    """It is put together by hand, and whoever verifies an audit uses a library."""
    odd: dict[str, Any] = {"task_id": 'a"\\\n☃', "data": {"ö": [1.5, None, 'x"'], "n": {}}}
    for event in [*chained(), replace(chained()[0], **odd)]:
        assert body(event).decode() == compact(members(event))
        assert json.loads(body(event)) == members(event)


def test_a_line_tells_its_place_without_being_read() -> None:
    """A start checks all that the journal has, most of which it needs no more: a line that was
    changed must be found all the same."""
    first, _ = chain.link(Draft(task_id="t", type=EventType.SUBMITTED), 6, "")
    data = {"text": '"hash":"0"}', "more": "é\n"}
    event, line = chain.link(Draft(task_id="t", type=EventType.STARTED, data=data), 7, first.hash)

    place = chain.place(line)

    assert place is not None
    assert (place.seq, place.hash, place.body) == (7, event.hash, body(event))
    assert place.follows(first.hash)
    assert not place.follows("")
    edited = chain.place(line.replace(b"more", b"less"))
    assert edited is not None
    assert not edited.follows(first.hash)
    assert chain.place(line[:-1]) is chain.place(b"{}") is None
