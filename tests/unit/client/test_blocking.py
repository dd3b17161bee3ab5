"""Sync names of async methods, above all when somebody presses Ctrl-C."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncGenerator, Iterator
from contextlib import closing
from types import FrameType
from typing import Any

import pytest

from opspawn_jupyter.client.blocking import Blocking, blocking, iterating


class Source:
    """Gives numbers for ever, with a pause after each."""

    closed = 0

    async def numbers(self) -> AsyncGenerator[int, None]:
        try:
            for number in range(1_000_000):
                yield number
                await asyncio.sleep(0.0001)
        finally:
            self.closed += 1

    async def for_ever(self) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            self.closed += 1


class Sync(Blocking[Source]):
    numbers = iterating(Source.numbers)
    for_ever = blocking(Source.for_ever)


@pytest.fixture
def interrupts() -> Iterator[Any]:
    """Presses Ctrl-C in this thread after so many seconds."""

    def raise_(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, raise_)
    yield lambda seconds: signal.setitimer(signal.ITIMER_REAL, seconds)
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("moment", range(40))
def test_ctrl_c_at_any_moment_ends_the_iteration_and_closes_its_source(
    interrupts: Any, moment: int
) -> None:
    """Also where it comes while the loop is only being asked for the next item."""
    source = Source()

    # It may also come between two items, where only the caller can close the iteration.
    with pytest.raises(KeyboardInterrupt), closing(Sync(source).numbers()) as items:  # noqa: PT012
        next(items)
        interrupts(0.0005 + moment * 0.00005)
        for _ in items:
            pass

    assert source.closed == 1


def test_ctrl_c_ends_a_wait_and_cancels_what_was_waited_for(interrupts: Any) -> None:
    source = Source()

    interrupts(0.05)
    with pytest.raises(KeyboardInterrupt):
        Sync(source).for_ever()

    assert source.closed == 1
