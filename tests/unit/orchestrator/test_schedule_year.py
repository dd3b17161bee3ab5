"""Months of schedules with mishaps of every sort, through the loop and the store: every due time
is accounted for."""

from __future__ import annotations

import asyncio
import os
from collections import Counter, defaultdict
from datetime import datetime, timedelta
from pathlib import Path
from random import Random

import pytest

from opspawn_jupyter.model.firing import Cause, Firing
from opspawn_jupyter.model.schedule import DUE_LABEL, Schedule
from opspawn_jupyter.orchestrator import schedule as verbs
from opspawn_jupyter.orchestrator.context import Orchestration
from opspawn_jupyter.orchestrator.schedule_view import schedules
from opspawn_jupyter.scheduling.due import due_between
from tests.unit.orchestrator.schedule_world import (
    MISHAPS,
    World,
    every_firing,
    every_task,
    hold_clock,
)
from tests.unit.orchestrator.stage import orchestration

LONG = bool(os.environ.get("OPSPAWN_SCHEDULES_LONG"))
START = datetime.fromisoformat("2026-09-10T22:00:30+00:00")


@pytest.mark.timeout(7_200 if LONG else 180)
def test_every_due_time_of_months_ends_in_one_task_or_one_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Servers die, the machine sleeps, the clock jumps both ways. A year of 200 schedules with
    OPSPAWN_SCHEDULES_LONG, a few weeks of some otherwise; both with a change of clocks within."""
    count, days = (200, 366) if LONG else (8, 50)
    world = World(Random(7), START, START + timedelta(days=days), timedelta(days=4))
    hold_clock(world, monkeypatch)

    async def story() -> None:
        async with orchestration(tmp_path) as o:
            for plan in world.plans(count):
                await verbs.create(o, plan, "ada")
        await world.live(tmp_path)
        async with orchestration(tmp_path) as o:
            for view in (await schedules(o)).schedules:
                await verbs.resume(o, view.schedule.name)  # what a pause passed over is recorded
            said: Counter[str] = Counter()
            for view in (await schedules(o)).schedules:
                said += await account_of(o, view.schedule, world)
        print(f"{days} days of {count} schedules: {dict(world.happened)}; {dict(said)}")
        assert set(world.happened) == set(MISHAPS)
        assert {"task", "missed", "superseded", "overlap", "paused"} <= set(said)

    asyncio.run(story())


async def account_of(o: Orchestration, schedule: Schedule, world: World) -> Counter[str]:
    """What became of the schedule's due times, after a look that none was forgotten or counted
    twice."""
    firings = [one for one in await every_firing(o, schedule.name) if one.cause is Cause.DUE]
    spans = [one for one in firings if one.due_at != one.last_due_at]
    single: defaultdict[datetime, list[Firing]] = defaultdict(list)
    for firing in firings:
        if firing.due_at == firing.last_due_at:
            single[firing.due_at].append(firing)
    due_times = list(due_between(schedule.plan.timing, START, schedule.accounted_until))
    said: Counter[str] = Counter()
    for due_at in due_times:
        covering = [*single[due_at], *(one for one in spans if one.covers(due_at))]
        tasks = [one for one in covering if one.task_id is not None]
        assert len(tasks) <= 1, (schedule.name, due_at)
        assert covering, (schedule.name, due_at)
        if not any(start <= due_at <= end for start, end in world.relived):
            assert len(covering) == 1, (schedule.name, due_at, covering)
        said[_word((tasks or covering)[0])] += 1
    stored = await every_task(o, schedule.name)
    labels = sorted(task.labels[DUE_LABEL] for task in stored)
    assert labels == sorted({one.due_at.isoformat() for one in firings if one.task_id is not None})
    assert {datetime.fromisoformat(label) for label in labels} <= set(due_times)
    return said


def _word(firing: Firing) -> str:
    return "task" if firing.reason is None else firing.reason.value
