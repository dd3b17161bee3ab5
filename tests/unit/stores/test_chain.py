"""The chain of hashes over the events."""

from __future__ import annotations

from dataclasses import replace

from opspawn_jupyter.model.event import Event
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
