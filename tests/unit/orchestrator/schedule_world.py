"""Schedules in a world whose time passes as a test says: servers that die, machines that sleep,
clocks that are set, tasks that fail, people who pause.

The server's own loop runs, over the real store; only its alarm is the world's, which lets time pass
where the real one would wait.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from random import Random

import pytest

from opspawn_jupyter.model import clock
from opspawn_jupyter.model.firing import Firing
from opspawn_jupyter.model.schedule import CatchUp, Overlap, Plan, Timing
from opspawn_jupyter.model.states import EventType
from opspawn_jupyter.model.task import Task, TaskQuery
from opspawn_jupyter.model.work import TakeRequest
from opspawn_jupyter.orchestrator import schedule as verbs
from opspawn_jupyter.orchestrator.alarm import Alarm
from opspawn_jupyter.orchestrator.context import Orchestration
from opspawn_jupyter.orchestrator.report import report
from opspawn_jupyter.orchestrator.rescue import recover
from opspawn_jupyter.orchestrator.schedule_history import history
from opspawn_jupyter.orchestrator.schedule_loop import keep_scheduling
from opspawn_jupyter.orchestrator.schedule_outcome import follow_up
from opspawn_jupyter.orchestrator.take import take
from tests.unit.orchestrator.stage import note, of, orchestration, reported

ZONES = (
    "UTC", "Europe/Berlin", "America/New_York", "America/Santiago", "Australia/Lord_Howe",
    "Asia/Kolkata", "Pacific/Auckland", "Africa/Cairo",
)  # fmt: skip
MISHAPS = ("death", "sleep", "ahead", "back")
RULES = ("{m} {h} * * *", "{m} {h} * * 1-5", "{m} {h} {d} * *", "{m} */8 * * *", "*/40 2 * * 0")


class Outage(Exception):
    """The server dies at this moment."""


class Over(Exception):
    """The story has come to its end."""


@dataclass
class World:
    """What happens, drawn from a seed."""

    random: Random
    time: datetime
    end: datetime
    #: Mean time between two mishaps.
    mishaps: timedelta
    happened: Counter[str] = field(default_factory=Counter)
    #: Spans of time that were lived twice.
    relived: list[tuple[datetime, datetime]] = field(default_factory=list)
    _running: list[Task] = field(default_factory=list)
    #: Mishaps to come, in this order.
    _deck: list[str] = field(default_factory=list)
    _next_mishap: datetime = field(init=False)
    _next_work: datetime = field(init=False)

    def plans(self, count: int) -> Iterator[Plan]:
        """Schedules of every sort."""
        draw = self.random
        for number in range(count):
            yield Plan(
                name=f"s{number}",
                submission=note(),
                timing=self._timing(),
                overlap=draw.choice([*Overlap]),
                catch_up=draw.choice([*CatchUp]),
                catch_up_window_seconds=draw.choice([3_600.0, 86_400.0, 604_800.0]),
                pause_after_failures=draw.choice([0, 0, 3]),
                max_unfinished=draw.choice([1, 3, 100]),
            )

    def _timing(self) -> Timing:
        draw = self.random
        zone = draw.choice(ZONES)
        if draw.random() < 0.15:
            return Timing(every_seconds=draw.randint(5, 60) * 3_600.0, timezone=zone)
        rule = draw.choice(RULES)
        cron = rule.format(m=draw.randrange(60), h=draw.randrange(24), d=draw.randint(1, 28))
        excluded = (f"{self.time + timedelta(days=draw.randint(1, 20)):%Y-%m-%d}",)
        return Timing(cron=cron, timezone=zone, exclude_dates=excluded)

    async def live(self, root: Path) -> None:
        """One server after another, until the end."""
        while self.time < self.end:
            async with orchestration(root) as world:
                o = replace(world, schedule_alarm=_Alarm(self))
                alarm = o.schedule_alarm
                assert isinstance(alarm, _Alarm)
                alarm.o = o
                self._running.clear()
                await recover(o, ())
                self._next_mishap = self.time + self.mishaps * self.random.uniform(0.2, 2)
                self._next_work = self.time
                try:
                    await keep_scheduling(o)
                except Outage:
                    self.time += timedelta(hours=self.random.choice([0.01, 1, 12, 60, 250]))
                except Over:
                    return

    async def pass_time(self, o: Orchestration, due_at: datetime | None) -> None:
        """Until the next thing happens."""
        moment = min(self._next_mishap, self._next_work, due_at or self.end, self.end)
        self.time = max(self.time, moment)
        if self.time >= self.end:
            raise Over
        if moment == self._next_mishap:
            self._have_mishap()
        elif moment == self._next_work:
            await self._work(o)

    def _have_mishap(self) -> None:
        self._next_mishap = self.time + self.mishaps * self.random.uniform(0.2, 2)
        if not self._deck:
            self._deck = self.random.sample(MISHAPS, len(MISHAPS))
        mishap = self._deck.pop()
        self.happened[mishap] += 1
        if mishap == "death":
            raise Outage
        if mishap == "back":
            before = self.time
            self.time -= timedelta(hours=self.random.uniform(0.1, 40))
            self.relived.append((self.time, before))
        else:
            self.time += timedelta(hours=self.random.uniform(0.1, 90))

    async def _work(self, o: Orchestration) -> None:
        """A worker ends most of what it runs, and takes what waits; somebody pauses something."""
        self._next_work = self.time + timedelta(hours=self.random.uniform(0.2, 4))
        running, self._running = self._running, []
        for task in running:
            if self.random.random() < 0.2:
                self._running.append(task)
                continue
            outcome = self.random.choice([*[EventType.SUCCEEDED] * 4, EventType.FAILED])
            end = reported(outcome, 2, error={"name": "E", "message": "m"})
            await report(o, "w", of(task, end))
            ended = await o.store.task(task.id)
            assert ended is not None
            await follow_up(o, ended)
        for one in (await take(o, "w", TakeRequest(free_slots=100, wait_seconds=0))).assignments:
            taken = await o.store.task(one.task_id)
            assert taken is not None
            await report(o, "w", of(taken, reported(EventType.STARTED, 1, worker="w")))
            self._running.append(taken)
        if self.random.random() < 0.05:
            name = f"s{self.random.randrange(5)}"
            await self.random.choice([self._pause, self._resume])(o, name)

    async def _pause(self, o: Orchestration, name: str) -> None:
        await verbs.pause(o, name, "bob")

    async def _resume(self, o: Orchestration, name: str) -> None:
        await verbs.resume(o, name)


class _Alarm(Alarm):
    """Lets time pass where the real one waits."""

    o: Orchestration

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    async def wait(self) -> None:
        await self._world.pass_time(self.o, self.first_due_at)


def hold_clock(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The world's time is everybody's."""
    monkeypatch.setattr(clock, "now", lambda: world.time)


async def every_firing(o: Orchestration, name: str) -> list[Firing]:
    """What became of the schedule's due times."""
    found: list[Firing] = []
    before = None
    while True:
        page = await history(o, name, 1000, before)
        found += page.firings
        before = page.next_cursor
        if before is None:
            return found


async def every_task(o: Orchestration, name: str) -> list[Task]:
    """The schedule's tasks."""
    query = TaskQuery(labels={"schedule": name}, limit=1000)
    found: list[Task] = []
    while True:
        page = await o.store.tasks(query)
        found += page.tasks
        if page.next_cursor is None:
            return found
        query = replace(query, cursor=page.next_cursor)
