"""Processes that the steps of a workflow share."""

from __future__ import annotations

import asyncio
from pathlib import Path

from opspawn_jupyter.model.policy import Policy
from opspawn_jupyter.model.work import Assignment
from opspawn_jupyter.worker.launcher import Launcher
from opspawn_jupyter.worker.pool import Pool, Ticket

_DEADLINE_SECONDS = 60.0


def step(number: int, directory: Path) -> Ticket:
    assignment = Assignment(
        task_id=f"t{number}",
        attempt=1,
        kind="python_function",
        name="n",
        spec={},
        policy=Policy(),
        run_directory=str(directory),
        root_directory=str(directory),
        group="g",
    )
    return Ticket(assignment, begin=lambda: None, hear=lambda _: None)


def test_steps_that_are_ended_one_after_another_take_none_along_that_waits(tmp_path: Path) -> None:
    """A workflow that is cancelled: each step that is at work takes its process along, and one that
    has seen many processes end is no reason for that."""

    async def story() -> None:
        launcher = Launcher()
        pool = Pool(launcher)
        steps = [step(number, tmp_path) for number in range(16)]
        for one in steps:
            one.begin = lambda one=one: asyncio.get_running_loop().call_soon(one.member.kill)
            pool.put(one)
        try:
            async with asyncio.timeout(_DEADLINE_SECONDS):
                await asyncio.gather(*(one.ended.wait() for one in steps))
        finally:
            pool.close()
            launcher.close()
        assert [one.assignment.task_id for one in steps if not one.has_begun] == []

    asyncio.run(story())
