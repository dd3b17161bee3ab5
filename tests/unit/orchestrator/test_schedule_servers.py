"""Several servers over one store: nothing is fired twice, and nobody is missed."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest

from opspawn_jupyter.model.firing import Cause
from opspawn_jupyter.model.schedule import DUE_LABEL, CatchUp, Overlap, Timing
from opspawn_jupyter.orchestrator import schedule as verbs
from opspawn_jupyter.orchestrator.alarm import Alarm
from opspawn_jupyter.orchestrator.context import Orchestration
from opspawn_jupyter.orchestrator.schedule_loop import begin, fire_due
from opspawn_jupyter.orchestrator.trigger_index import TriggerIndex
from opspawn_jupyter.queues.local import LocalQueue
from tests.unit.orchestrator.schedule_stage import Clock, Play, plan, tasks, told


@pytest.fixture
def hands(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def another(o: Orchestration) -> Orchestration:
    """Another server of the same store: all that it remembers is its own."""
    return replace(
        o,
        schedule_alarm=Alarm(),
        triggers=TriggerIndex(),
        queue=LocalQueue(),
        key_lock=asyncio.Lock(),
    )


def test_of_two_servers_one_fires_whatever_the_overlap_and_what_was_missed(
    play: Play, hands: Clock
) -> None:
    """Both wake at the same moment, each time; also after an outage of both."""

    async def story(o: Orchestration) -> None:
        for overlap in Overlap:
            for catch_up in CatchUp:
                name = f"{overlap.value} {catch_up.value}"
                asked = plan(name=name, overlap=overlap, catch_up=catch_up)
                await verbs.create(o, asked, "ada")
        servers = [o, another(o)]
        for server in servers:
            await begin(server)
        hands.time = hands.time.replace(second=0)
        for hours in (1, 1, 1, 5, 1):
            hands.time += timedelta(hours=hours)
            await asyncio.gather(*(fire_due(server, hands.time) for server in servers))
        found = Counter((one.labels["schedule"], one.labels[DUE_LABEL]) for one in await tasks(o))
        assert found
        assert set(found.values()) == {1}
        assert await told(o, "allow all") == ["due"] * 9

    play(story)


def test_the_other_server_goes_on_where_the_one_that_was_quicker_is_gone(
    play: Play, hands: Clock
) -> None:
    async def story(o: Orchestration) -> None:
        await verbs.create(o, plan(overlap=Overlap.ALLOW), "ada")
        other = another(o)
        await begin(other)
        for _ in range(3):
            await hands.go(o, hours=1)
            await fire_due(other, hands.time)
        for _ in range(2):  # the first one is gone
            await hands.go(other, hours=1)
        assert await told(o) == ["due"] * 5

    play(story)


def test_a_task_that_a_program_asked_for_over_mcp_says_so(play: Play, hands: Clock) -> None:
    async def story(o: Orchestration) -> None:
        await verbs.create(o, plan(Timing(cron="@yearly")), "ada")
        await verbs.pause(o, "hourly", "ada")
        await verbs.start(o, "hourly", "an agent", cause=Cause.MCP)
        assert await told(o) == ["mcp"]

    play(story)
