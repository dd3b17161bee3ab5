"""Runner processes that wait for a task."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import psutil

from jupyter_process import PATIENCE_SECONDS
from opspawn_jupyter.model.work import Grace
from opspawn_jupyter.worker.launcher import Launcher
from opspawn_jupyter.worker.spares import RunnerProcess, SpareRunners


def carry_out(story: Callable[[SpareRunners], Awaitable[None]], count: int) -> None:
    """Tell the story of so many spares, and end them."""

    async def carried_out() -> None:
        launcher = Launcher()
        spares = SpareRunners(launcher, Grace(), count)
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await story(spares)
        finally:
            await spares.close()
            launcher.close()

    asyncio.run(carried_out())


async def ended(runner: RunnerProcess) -> bool:
    """Whether the process ends, of which nobody wants anything any more."""
    return runner.handle is None or bool(
        (await asyncio.to_thread(psutil.wait_procs, [runner.handle], PATIENCE_SECONDS))[0]
    )


async def waiting(spares: SpareRunners, count: int) -> tuple[RunnerProcess, ...]:
    """The spares, once there are so many."""
    while len(spares.waiting) < count:  # noqa: ASYNC110  it tells nobody
        await asyncio.sleep(0.02)
    return spares.waiting


def test_a_task_gets_a_runner_that_was_up_before_it_came() -> None:
    """That is what makes its start quick."""

    async def story(spares: SpareRunners) -> None:
        spares.start()
        before = await waiting(spares, 1)
        taken = await spares.take()
        assert taken is before[0]
        assert taken.is_waiting
        taken.line.close()
        assert await ended(taken)

    carry_out(story, 1)


def test_a_spare_that_was_taken_is_replaced() -> None:
    """The next task finds one, too, and never the one of another."""

    async def story(spares: SpareRunners) -> None:
        spares.start()
        await waiting(spares, 1)
        first = await spares.take()
        (second,) = await waiting(spares, 1)
        assert second.process.pid != first.process.pid
        first.line.close()
        assert await ended(first)

    carry_out(story, 1)


def test_a_spare_that_died_is_given_to_nobody() -> None:
    """A task must not crash because of what happened before it came."""

    async def story(spares: SpareRunners) -> None:
        spares.start()
        (dead,) = await waiting(spares, 1)
        assert dead.handle is not None
        dead.handle.kill()
        assert await ended(dead)
        taken = await spares.take()
        assert taken.process.pid != dead.process.pid
        taken.line.close()
        assert await ended(taken)

    carry_out(story, 1)


def test_without_spares_each_task_gets_a_new_runner() -> None:
    """Who wants no idle processes has none."""

    async def story(spares: SpareRunners) -> None:
        spares.start()
        taken = await spares.take()
        assert spares.waiting == ()
        taken.line.close()
        assert await ended(taken)

    carry_out(story, 0)


def test_spares_end_with_their_worker() -> None:
    """Nothing of a worker stays that has gone."""
    kept: list[RunnerProcess] = []

    async def story(spares: SpareRunners) -> None:
        spares.start()
        kept.extend(await waiting(spares, 2))

    carry_out(story, 2)
    assert all(asyncio.run(ended(runner)) for runner in kept)


def test_a_runner_that_waits_again_is_the_next_to_be_taken() -> None:
    """It has just done what the next task wants: nothing of it is cold."""

    async def story(spares: SpareRunners) -> None:
        spares.start()
        await waiting(spares, 2)
        used = await spares.take()
        assert spares.give_back(used)
        assert await spares.take() is used
        used.line.close()
        assert await ended(used)

    carry_out(story, 2)


def test_no_more_runners_wait_than_are_wanted() -> None:
    """Many tasks at once leave no crowd behind."""

    async def story(spares: SpareRunners) -> None:
        used = await spares.take()
        assert not spares.give_back(used)
        used.line.close()
        assert await ended(used)

    carry_out(story, 0)
