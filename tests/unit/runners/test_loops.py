"""The loop in which a runner process carries out its runs."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from opspawn_jupyter.runners.loops import LastingLoop


@pytest.fixture
def lasting() -> Iterator[LastingLoop]:
    """One that is closed in the end."""
    loop = LastingLoop()
    yield loop
    loop.close()


async def _own_loop() -> asyncio.AbstractEventLoop:
    return asyncio.get_running_loop()


def test_one_run_after_the_other_is_carried_out_in_the_same_loop(lasting: LastingLoop) -> None:
    """To make one takes longer than much of a short run."""
    assert lasting.run(_own_loop()) is lasting.run(_own_loop())


def test_a_task_that_is_left_is_ended_with_its_loop(lasting: LastingLoop) -> None:
    """The next run must find nothing of the last one's."""
    left: list[asyncio.Task[None]] = []

    async def leave_a_task() -> asyncio.AbstractEventLoop:
        left.append(asyncio.ensure_future(asyncio.sleep(3600)))
        return await _own_loop()

    loop = lasting.run(leave_a_task())

    assert left[0].cancelled()
    assert loop.is_closed()
    assert lasting.run(_own_loop()) is not loop


def test_a_thread_that_is_left_is_ended_with_its_loop(lasting: LastingLoop) -> None:
    """A runner process that has threads left is not given to another attempt."""

    async def leave_a_thread() -> asyncio.AbstractEventLoop:
        await asyncio.to_thread(int)
        return await _own_loop()

    loop = lasting.run(leave_a_thread())

    assert loop.is_closed()


def test_what_was_about_to_be_done_is_done_before_the_run_is_over(lasting: LastingLoop) -> None:
    """A line that was hung up is closed then, so that the other end hears of it."""
    done: list[bool] = []

    async def leave_work() -> None:
        asyncio.get_running_loop().call_soon(done.append, True)

    lasting.run(leave_work())

    assert done


def test_what_is_raised_is_raised_to_the_caller(lasting: LastingLoop) -> None:
    """And the next run goes on in the same loop."""

    async def fail() -> None:
        raise LookupError("lost")

    loop = lasting.run(_own_loop())
    with pytest.raises(LookupError, match="lost"):
        lasting.run(fail())

    assert lasting.run(_own_loop()) is loop
