"""Blocking work that is handed to threads several at a time."""

from __future__ import annotations

import asyncio
import threading

import pytest

from opspawn_jupyter.errand import in_thread


def test_each_gets_what_its_own_work_came_to() -> None:
    """Values and exceptions alike, however many ask at once."""

    def work(number: int, *, divisor: int = 1) -> tuple[int, str]:
        return number // divisor, threading.current_thread().name

    async def ask() -> None:
        asked = [in_thread(work, number, divisor=number % 7) for number in range(100)]
        found = await asyncio.gather(*asked, return_exceptions=True)
        for number, one in enumerate(found):
            if number % 7:
                assert isinstance(one, tuple)
                assert one[0] == number // (number % 7)
                assert one[1] != threading.current_thread().name
            else:
                assert isinstance(one, ZeroDivisionError)

    asyncio.run(ask())


def test_who_does_not_wait_takes_nobody_along() -> None:
    """A client that hangs up; the work is done all the same."""
    done: list[int] = []

    async def ask() -> None:
        first = asyncio.ensure_future(in_thread(done.append, 1))
        second = asyncio.ensure_future(in_thread(done.append, 2))
        await asyncio.sleep(0)
        first.cancel()
        await second
        with pytest.raises(asyncio.CancelledError):
            await first

    asyncio.run(ask())

    assert done == [1, 2]


def test_where_no_thread_is_to_be_had_the_caller_hears_of_it() -> None:
    """A server that is about to end must not wait for ever."""

    async def ask() -> None:
        await in_thread(int)
        await asyncio.get_running_loop().shutdown_default_executor()
        with pytest.raises(RuntimeError):
            await in_thread(int)

    asyncio.run(ask())
