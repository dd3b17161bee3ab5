"""The websocket bus: telling never waits, and what is kept is bounded."""

from __future__ import annotations

import asyncio
import json

from jupyter_process import PATIENCE_SECONDS
from opspawn_jupyter.buses.fanout import FanoutBus
from opspawn_jupyter.buses.websocket import Subscription, Told, WebsocketBus
from opspawn_jupyter.model import wire
from opspawn_jupyter.model.event import Event
from opspawn_jupyter.model.states import EventType


def event(seq: int, type: EventType = EventType.CELL_STARTED, task: str = "t", **data) -> Event:
    return Event(task_id=task, type=type, seq=seq, data=data)


def output(text: str, task: str = "t") -> Event:
    return event(1, EventType.CELL_OUTPUT, task, output={"text": text})


async def heard(subscription: Subscription, count: int) -> list[Event]:
    events = []
    async for some in subscription:
        events += [told.event for told in some]
        if len(events) == count:
            break
    return events


def test_every_listener_hears_every_event_in_order():
    """Panel, cell and shell may all watch the same task."""

    async def scene() -> None:
        bus = WebsocketBus()
        listeners = [bus.subscribe(), bus.subscribe("t")]

        bus.tell([event(1), event(2)])
        bus.tell([event(3)])

        for listener in listeners:
            assert [e.seq for e in await heard(listener, 3)] == [1, 2, 3]

    asyncio.run(scene())


def test_a_listener_that_waits_is_woken():
    """Live means at once."""

    async def scene() -> None:
        bus = WebsocketBus()
        waiting = asyncio.create_task(heard(bus.subscribe(), 1))
        await asyncio.sleep(0)

        bus.tell([event(7)])

        assert [e.seq for e in await asyncio.wait_for(waiting, PATIENCE_SECONDS)] == [7]

    asyncio.run(scene())


def test_a_listener_that_does_not_keep_up_is_dropped_and_told_so():
    """A browser tab that sleeps must not fill the server's memory."""

    async def scene() -> None:
        bus = WebsocketBus()
        slow, other = bus.subscribe(), bus.subscribe()
        reading = asyncio.create_task(heard(other, 2001))
        await asyncio.sleep(0)

        for seq in range(2001):
            bus.tell([event(seq)])
            await asyncio.sleep(0)

        assert slow.is_overrun
        assert await heard(slow, 1) == []
        assert len(await asyncio.wait_for(reading, PATIENCE_SECONDS)) == 2001
        assert not other.is_overrun

    asyncio.run(scene())


def test_queued_outputs_are_bounded_by_size_too():
    """A few large pictures weigh more than thousands of small events."""

    async def scene() -> None:
        bus = WebsocketBus()
        slow = bus.subscribe()

        for _ in range(200):
            bus.tell([output("x" * 200_000)])

        assert slow.is_overrun

    asyncio.run(scene())


def test_a_late_listener_gets_the_outputs_of_its_running_task():
    """Who opens a panel in the middle of a run wants to see what was printed."""

    async def scene() -> None:
        bus = WebsocketBus()
        bus.tell([output("early"), output("other", task="u")])

        subscription = bus.subscribe("t")

        assert [t.event.data["output"]["text"] for t in subscription.outputs] == ["early"]
        assert bus.subscribe().outputs == ()

    asyncio.run(scene())


def test_kept_outputs_are_the_last_ones_and_few():
    """A notebook that prints for hours must not fill the server's memory."""

    async def scene() -> None:
        bus = WebsocketBus()

        for number in range(100):
            bus.tell([output(f"{number} " + "x" * 10_000)])

        kept = bus.subscribe("t").outputs
        assert sum(len(told.text) for told in kept) <= 256 * 1024
        assert kept[-1].event.data["output"]["text"].startswith("99 ")

    asyncio.run(scene())


def test_outputs_of_a_task_that_has_just_ended_are_kept():
    """A run of a few milliseconds ends before the caller that started it can listen."""

    async def scene() -> None:
        bus = WebsocketBus()

        bus.tell([output("x"), event(2, EventType.SUCCEEDED)])

        assert len(bus.subscribe("t").outputs) == 1

    asyncio.run(scene())


def test_outputs_are_forgotten_when_many_tasks_have_ended_since():
    """They lie in the executed notebooks; memory must not grow with the history."""

    async def scene() -> None:
        bus = WebsocketBus()
        bus.tell([output("x"), event(2, EventType.SUCCEEDED)])

        bus.tell([event(seq, EventType.SUCCEEDED, f"other {seq}") for seq in range(3, 100)])

        assert bus.subscribe("t").outputs == ()

    asyncio.run(scene())


def test_a_closed_bus_ends_every_iteration():
    """The server must be able to stop while people listen."""

    async def scene() -> None:
        bus = WebsocketBus()
        waiting = asyncio.create_task(heard(bus.subscribe(), 1))
        await asyncio.sleep(0)

        bus.close()

        assert await asyncio.wait_for(waiting, PATIENCE_SECONDS) == []

    asyncio.run(scene())


def test_messages_are_json_for_browsers():
    """``NaN`` would stop ``JSON.parse``."""

    async def scene() -> None:
        bus = WebsocketBus()
        bus.tell([event(1, EventType.CELL_OUTPUT, value=float("nan"))])

        (told,) = bus.subscribe("t").outputs

        def refuse(name: str) -> None:
            raise AssertionError(name)

        assert json.loads(told.text, parse_constant=refuse)["data"] == {"value": None}

    asyncio.run(scene())


def test_a_message_has_all_of_its_event():
    """Clients make the event of it again; what is stored and what passes alike."""
    stored = Event(
        task_id="t", type=EventType.STEP_OUTPUT, seq=7, attempt=1, number=3, hash="abc",
        data={"name": "rows", "value": {"ä": [1, 2.5, None, "\udc80"]}},
    )  # fmt: skip
    passing = output("x")

    for one in (stored, passing):
        sent = Told(one).text.encode()
        assert wire.decode(Event, json.loads(sent)) == one


def test_a_fanout_tells_each_of_its_listeners():
    """The supervisor hears of tasks on the same bus as the browser, and in the same order; whoever
    waits at a browser is served first."""
    told = {"a": [], "b": [], "c": []}
    at_once = []

    class Listener:
        def __init__(self, name: str) -> None:
            self.name = name

        def tell(self, events) -> None:
            told[self.name].extend(one.seq for one in events)

    async def tell() -> None:
        bus = FanoutBus(*map(Listener, told))
        for seq in (1, 2):
            bus.tell([event(seq)])
        at_once.extend(map(len, told.values()))
        await asyncio.sleep(0)

    asyncio.run(tell())

    assert at_once == [2, 0, 0]
    assert told == {"a": [1, 2], "b": [1, 2], "c": [1, 2]}
