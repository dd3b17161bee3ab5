"""From the past into the future: no gap, no repetition, in order."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

from jupyter_process import PATIENCE_SECONDS
from opspawn_jupyter.buses.websocket import WebsocketBus
from opspawn_jupyter.model.event import Event
from opspawn_jupyter.model.states import EventType
from opspawn_jupyter.server.handlers.event import EventFeed


def event(seq: int, task: str = "t", type: EventType = EventType.CELL_STARTED) -> Event:
    return Event(task_id=task, type=type, seq=seq)


class Journal:
    """The part of a store that a feed reads."""

    def __init__(self, *events: Event) -> None:
        self.written = list(events)

    async def events(self, *, after=0, limit=1000, task_id=None) -> tuple[Event, ...]:
        found = [
            e for e in self.written if e.seq > after and (task_id is None or e.task_id == task_id)
        ]
        return tuple(found[:limit])


async def told(messages: AsyncIterator[Sequence[str]], count: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while len(found) < count:
        found += map(json.loads, await asyncio.wait_for(anext(messages), PATIENCE_SECONDS))
    return found


async def seqs(messages: AsyncIterator[Sequence[str]], count: int) -> list[int]:
    return [message["seq"] for message in await told(messages, count)]


def test_what_was_missed_comes_first_and_then_what_happens():
    """A panel that lost its connection for a minute shows the whole truth afterwards."""

    async def scene() -> None:
        bus, journal = WebsocketBus(), Journal(event(1), event(2), event(3))
        messages = EventFeed(journal, bus.subscribe(), None).messages(1, 3)

        bus.tell([event(4)])

        assert await seqs(messages, 3) == [2, 3, 4]

    asyncio.run(scene())


def test_what_happens_during_the_replay_is_not_told_twice():
    """It is both in the store and on the bus."""

    async def scene() -> None:
        bus, journal = WebsocketBus(), Journal(event(1))
        subscription = bus.subscribe()
        journal.written += [event(2), event(3)]
        bus.tell([event(2), event(3)])
        messages = EventFeed(journal, subscription, None).messages(0, 1)

        bus.tell([event(4)])

        assert await seqs(messages, 4) == [1, 2, 3, 4]

    asyncio.run(scene())


def test_events_told_out_of_order_are_put_in_order():
    """Two verbs finish their writes together and may speak in either order; a listener that
    resumes after the higher number would never see the lower one."""

    async def scene() -> None:
        bus, journal = WebsocketBus(), Journal(event(1), event(2), event(3))
        messages = EventFeed(journal, bus.subscribe(), None).messages(None, 1)
        bus.tell([event(3)])
        bus.tell([event(2)])
        journal.written.append(event(4))
        bus.tell([event(4)])

        assert await seqs(messages, 3) == [2, 3, 4]

    asyncio.run(scene())


def test_a_long_past_is_read_in_pages():
    """Memory stays small whatever was missed."""

    async def scene() -> None:
        journal = Journal(*(event(seq) for seq in range(1, 2501)))
        messages = EventFeed(journal, WebsocketBus().subscribe(), None).messages(0, 2500)

        assert await seqs(messages, 2500) == list(range(1, 2501))

    asyncio.run(scene())


def test_a_listener_of_one_task_hears_of_no_other():
    """A card shows one task."""

    async def scene() -> None:
        bus = WebsocketBus()
        journal = Journal(event(1), event(2, "other"), event(3))
        messages = EventFeed(journal, bus.subscribe("t"), "t").messages(0, 3)

        bus.tell([event(4, "other"), event(5)])
        journal.written += [event(4, "other"), event(5)]

        assert await seqs(messages, 3) == [1, 3, 5]

    asyncio.run(scene())


def test_outputs_come_after_the_events_before_them():
    """An output belongs to a cell that the listener must know first."""

    async def scene() -> None:
        bus = WebsocketBus()
        journal = Journal(event(1), event(2))
        messages = EventFeed(journal, bus.subscribe("t"), "t").messages(1, 1)

        bus.tell([event(2, type=EventType.CELL_OUTPUT)])
        first, second = await told(messages, 2)

        assert (first["type"], second["type"]) == ("cell.started", "cell.output")

    asyncio.run(scene())


def test_kept_outputs_come_where_they_came():
    """Who listens late must not hear the end before what led to it."""

    async def scene() -> None:
        bus = WebsocketBus()
        bus.tell([event(1), event(1, type=EventType.CELL_OUTPUT), event(2)])
        messages = EventFeed(Journal(event(1), event(2)), bus.subscribe("t"), "t").messages(0, 2)

        types = [message["type"] for message in await told(messages, 3)]

        assert types == ["cell.started", "cell.output", "cell.started"]

    asyncio.run(scene())


def test_without_a_place_to_begin_only_the_new_is_told():
    """Who opens a panel asks for the tasks' states, not for their history."""

    async def scene() -> None:
        bus, journal = WebsocketBus(), Journal(event(1), event(2))
        messages = EventFeed(journal, bus.subscribe(), None).messages(None, 2)
        journal.written.append(event(3))

        bus.tell([event(3)])

        assert await seqs(messages, 1) == [3]

    asyncio.run(scene())
