"""What 10,000 schedules cost a server that waits: CPU of the loop, and how late a due one is.

python benchmarks/schedules.py
"""

from __future__ import annotations

import asyncio
import resource
import tempfile
import time
from datetime import timedelta
from pathlib import Path

from opspawn_jupyter.model import clock
from opspawn_jupyter.model.event import Draft
from opspawn_jupyter.model.ids import new_id
from opspawn_jupyter.model.schedule import Plan, Schedule, Timing
from opspawn_jupyter.model.states import EventType
from opspawn_jupyter.model.task import TaskQuery
from opspawn_jupyter.orchestrator import schedule as schedules
from opspawn_jupyter.orchestrator.schedule_loop import keep_scheduling
from opspawn_jupyter.orchestrator.schedule_record import Known
from opspawn_jupyter.scheduling.due import next_due
from tests.unit.orchestrator.stage import note, orchestration

COUNT = 10_000
IDLE_SECONDS = 30.0


async def main() -> None:
    """Make them, wait, have one be due."""
    with tempfile.TemporaryDirectory() as root:
        async with orchestration(Path(root)) as o:
            await measure(o)


def made(number: int) -> Draft:
    """One that is due in New Year's night."""
    now = clock.now()
    timing = Timing(cron=f"{number % 60} {number % 24} 1 1 *")
    schedule = Schedule(
        id=new_id(),
        plan=Plan(name=f"s{number}", submission=note(), timing=timing),
        created_at=now,
        accounted_until=now,
        next_due_at=next_due(timing, now),
    )
    return Known(schedule, 0).becomes(EventType.SCHEDULE_CREATED, schedule)


async def measure(o) -> None:  # type: ignore[no-untyped-def]
    """Print the figures."""
    began = time.perf_counter()
    for first in range(0, COUNT, 500):
        await o.record(*(made(number) for number in range(first, first + 500)))
    print(f"made {COUNT} schedules in {time.perf_counter() - began:.1f} s")
    loop = asyncio.create_task(keep_scheduling(o))
    while len(o.schedule_alarm) < COUNT:  # noqa: ASYNC110 (nothing tells)
        await asyncio.sleep(0.1)
    await asyncio.sleep(2)  # what was written just now reaches the database
    before = resource.getrusage(resource.RUSAGE_SELF)
    await asyncio.sleep(IDLE_SECONDS)
    after = resource.getrusage(resource.RUSAGE_SELF)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(f"idle: {used / IDLE_SECONDS:.2%} of a core")
    due_at = clock.now() + timedelta(seconds=2)
    await schedules.create(o, Plan(name="due", submission=note(), timing=Timing(at=due_at)), "me")
    while not (page := await o.store.tasks(TaskQuery())).tasks:  # noqa: ASYNC110 (nothing tells)
        await asyncio.sleep(0.005)
    late = (page.tasks[0].created_at - due_at).total_seconds()
    print(f"a due one was submitted {late * 1000:.0f} ms after its time")
    loop.cancel()


asyncio.run(main())
