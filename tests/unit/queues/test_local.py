"""What is particular to the queue inside the server."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from opspawn_jupyter.model.states import State
from opspawn_jupyter.model.task import Task
from opspawn_jupyter.queues.local import LocalQueue


def task(id: str) -> Task:
    return Task(
        id=id,
        kind="notebook",
        name=id,
        state=State.QUEUED,
        spec={},
        run_directory=id,
        created_at=datetime.now(UTC),
    )


def test_tasks_are_taken_in_the_order_they_came() -> None:
    """Nobody may be overtaken."""

    async def scenario() -> None:
        queue = LocalQueue()
        for id in "abc":
            await queue.put(task(id))

        assert await queue.take("w", 2, {}) == ("a", "b")
        assert await queue.take("w", 2, {"a": 1, "b": 1}) == ("c",)

    asyncio.run(scenario())


def test_what_got_lost_on_the_way_is_handed_out_again() -> None:
    """The answer to a long poll can be lost with its connection."""

    async def scenario() -> None:
        queue = LocalQueue()
        await queue.put(task("a"))
        await queue.take("w", 1, {})

        assert await queue.take("other", 1, {}) == ()
        assert await queue.take("w", 1, {"a": 1}) == ()
        assert await queue.take("w", 1, {}) == ("a",)

    asyncio.run(scenario())


def test_a_started_task_is_never_handed_out_again() -> None:
    """Nothing runs twice."""

    async def scenario() -> None:
        queue = LocalQueue()
        await queue.put(task("a"))
        await queue.take("w", 1, {})

        await queue.remove("a")
        await queue.release("w")

        assert await queue.take("w", 1, {}) == ()

    asyncio.run(scenario())


def test_a_dead_workers_unstarted_tasks_come_first() -> None:
    """They have waited longest."""

    async def scenario() -> None:
        queue = LocalQueue()
        for id in "ab":
            await queue.put(task(id))
        await queue.take("dead", 1, {})

        await queue.release("dead")

        assert await queue.take("w", 2, {}) == ("a", "b")

    asyncio.run(scenario())


def test_a_waiter_wakes_at_once_and_misses_nothing() -> None:
    """A task starts as soon as it is queued, and a change between look and wait counts."""

    async def scenario() -> None:
        queue = LocalQueue()
        before = queue.version
        await queue.put(task("a"))
        await asyncio.wait_for(queue.changed(before, 60), 5)

        waiting = asyncio.create_task(queue.changed(queue.version, 60))
        await asyncio.sleep(0)
        queue.notify()
        await asyncio.wait_for(waiting, 5)

    asyncio.run(scenario())


def test_waiting_ends_after_the_time_out() -> None:
    """A long poll must end."""

    async def scenario() -> None:
        queue = LocalQueue()

        await queue.changed(queue.version, 0.01)

    asyncio.run(scenario())
