"""Events that wait for the server."""

from __future__ import annotations

import asyncio
import json

import pytest

from opspawn_jupyter.model import wire
from opspawn_jupyter.model.clock import now
from opspawn_jupyter.model.states import EventType
from opspawn_jupyter.model.work import Report, ReportedEvent, ReportRequest
from opspawn_jupyter.worker.outbox import Outbox, Piece


def durable(number: int) -> ReportedEvent:
    return ReportedEvent(type=EventType.STEP_LOG, at=now(), data={"text": "x"}, number=number)


def passing(size: int, index: int = 0) -> ReportedEvent:
    data = {"index": index, "text": "x" * size}
    return ReportedEvent(type=EventType.CELL_OUTPUT, at=now(), data=data)


def reports(outbox: Outbox) -> tuple[Report, ...]:
    return wire.decode(ReportRequest, json.loads(outbox.collect())).reports


def collected(outbox: Outbox) -> list[ReportedEvent]:
    return [event for report in reports(outbox) for event in report.events]


def test_what_is_put_back_comes_first_again() -> None:
    """The server must see the events of an attempt in their order."""
    outbox = Outbox()
    outbox.add("t", 1, durable(1))
    outbox.collect()
    outbox.add("t", 1, durable(2))

    outbox.put_back()

    assert [event.number for event in collected(outbox)] == [1, 2]


def test_only_passing_events_are_dropped_and_the_oldest_first() -> None:
    """A cell that prints for hours must not fill the memory while the server is away."""
    outbox = Outbox()
    outbox.add("t", 1, durable(1))
    for index in range(100):
        outbox.add("t", 1, passing(100_000, index))
    outbox.add("t", 1, durable(2))

    events = collected(outbox)

    assert [event.number for event in events if event.number] == [1, 2]
    kept = [event.data["index"] for event in events if not event.number]
    assert kept == list(range(100 - len(kept), 100))
    assert 4 <= len(kept) <= 11


def test_what_is_delivered_is_gone() -> None:
    """And the task is no longer held."""
    outbox = Outbox()
    outbox.add("t", 3, durable(1))
    assert outbox.attempts == {"t": 3}

    outbox.collect()
    outbox.delivered()

    assert outbox.attempts == {}
    assert reports(outbox) == ()


def test_a_task_that_nobody_knows_is_forgotten() -> None:
    """Also where its events are on their way at that moment."""
    outbox = Outbox()
    outbox.add("t", 1, durable(1))
    outbox.collect()

    outbox.delivered()
    outbox.add("t", 1, durable(2))
    outbox.forget("t")

    assert outbox.attempts == {}


def test_attempts_of_one_task_are_kept_apart() -> None:
    """The server's answer to the last report of an attempt can be lost; the next attempt's
    events must not travel under the earlier one's number."""
    outbox = Outbox()
    outbox.add("t", 1, durable(1))
    outbox.add("t", 2, durable(1))

    told = [(report.attempt, len(report.events)) for report in reports(outbox)]

    assert told == [(1, 1), (2, 1)]
    assert outbox.attempts == {"t": 2}


@pytest.mark.parametrize(
    "kind",
    [
        EventType.SUCCEEDED,
        EventType.CANCELLED,
        EventType.WAITING,
        EventType.MODEL_REPLIED,
        EventType.AGENT_CALLED,
    ],
)
def test_what_somebody_waits_for_is_not_held_back(kind: EventType) -> None:
    """For the outcome, to be asked something, or to know what is left of a shared budget."""

    async def gathered() -> bool:
        outbox = Outbox()
        outbox.add("t", 1, ReportedEvent(type=kind, at=now(), number=1))
        async with asyncio.timeout(30):
            await outbox.gather(3600)
        return True

    assert asyncio.run(gathered())


def test_the_ends_of_small_steps_gather_for_a_moment() -> None:
    """Each report costs the server more than a step does; the last one goes at once."""

    async def tell() -> None:
        outbox = Outbox()
        ended = ReportedEvent(type=EventType.SUCCEEDED, at=now(), data={}, number=1)
        piece = Piece(ended.text, is_passing=False, is_urgent=True)
        outbox.put("a", 1, piece, may_wait=True)
        gathering = asyncio.ensure_future(outbox.gather(60))
        await asyncio.sleep(0)
        assert not gathering.done()

        await gathering  # though nothing urgent comes, and long before the minute is over
        outbox.add("b", 1, ended)
        await outbox.gather(60)

        assert len(collected(outbox)) == 2

    asyncio.run(tell())
