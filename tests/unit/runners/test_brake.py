"""Ending a run before its time."""

from __future__ import annotations

import asyncio
import threading

from jupyter_process import PATIENCE_SECONDS
from opspawn_jupyter.model.states import State
from opspawn_jupyter.runners.brake import Brake, Stop


def test_only_the_first_pull_counts() -> None:
    """A cancel that comes during the end by a limit must not change the outcome."""
    brake = Brake()

    brake.pull(State.TIMED_OUT, "too long")
    brake.pull(State.CANCELLED, "enough")

    assert brake.pulled == Stop(State.TIMED_OUT, "too long")


def test_a_pull_from_another_thread_wakes_the_run() -> None:
    """The worker's word arrives in a thread of its own."""
    brake = Brake()

    async def wait() -> None:
        threading.Thread(target=brake.pull, args=(State.CANCELLED, "now")).start()
        await asyncio.wait_for(brake.wait(), PATIENCE_SECONDS)

    asyncio.run(wait())


def test_a_limit_pulls_only_while_its_block_runs() -> None:
    """The limit of a cell must not hit the next one."""
    brake = Brake()

    async def two_cells() -> None:
        with brake.limit("A cell", 0.02):
            pass
        await asyncio.sleep(0.05)
        assert brake.pulled is None
        with brake.limit("A cell", 0.01):
            await brake.wait()

    asyncio.run(two_cells())

    assert brake.pulled is not None
    assert brake.pulled.message == "A cell ran longer than its limit of 0.01 seconds."
