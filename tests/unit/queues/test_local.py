"""What is particular to the queue inside the server."""

from __future__ import annotations

import asyncio
import time

from opspawn_jupyter.queues.local import LocalQueue
from tests.contract.test_queue import task


def test_a_crowd_that_may_not_go_costs_the_others_nothing() -> None:
    """Ten thousand tasks of one key must not be looked through for each that may go."""

    async def scenario() -> float:
        queue = LocalQueue()
        for number in range(10_000):
            await queue.put(task(f"k{number}", concurrency_key="k", priority=9))
        for number in range(1_000):
            await queue.put(task(f"t{number}"))
        await queue.take("w", 1, {})

        began = time.thread_time()
        for _ in range(1_000):
            (taken,) = await queue.take("v", 1, {})
            await queue.started(taken)
        return time.thread_time() - began

    # Half a second is what looking through all of them would take for the first few.
    assert asyncio.run(scenario()) < 0.5


def test_nothing_is_left_of_tasks_that_are_gone() -> None:
    """The server runs for months."""

    async def scenario() -> LocalQueue:
        queue = LocalQueue()
        for number in range(100):
            await queue.put(task(str(number), concurrency_key=str(number % 7)))
        while taken := await queue.take("w", 9, {}):
            for task_id in taken:
                await queue.started(task_id)
                await queue.remove(task_id)
        return queue

    queue = asyncio.run(scenario())

    assert not queue._waiting
    assert not queue._placed
    assert not queue._lanes
