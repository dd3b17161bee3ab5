"""What every adapter of the Queue port must do. A new adapter adds one line to ``ADAPTERS``."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from jupyter_process import PATIENCE_SECONDS
from opspawn_jupyter.model.policy import Policy
from opspawn_jupyter.model.states import State
from opspawn_jupyter.model.task import Task
from opspawn_jupyter.ports import Queue
from opspawn_jupyter.queues.limits import Limits
from opspawn_jupyter.queues.local import LocalQueue

#: By name: makes an empty queue with these limits.
ADAPTERS: dict[str, Callable[[Limits], Queue]] = {
    "local": LocalQueue,
}

Scenario = Callable[[Queue], Awaitable[None]]
Play = Callable[..., None]


@pytest.fixture(params=ADAPTERS)
def play(request: pytest.FixtureRequest) -> Play:
    """Run a scenario against an empty queue."""

    def run(scenario: Scenario, **limits: Any) -> None:
        queue = ADAPTERS[request.param](Limits(**limits))

        async def main() -> None:
            await asyncio.wait_for(scenario(queue), PATIENCE_SECONDS)

        asyncio.run(main())

    return run


def task(id: str, kind: str = "notebook", **policy: Any) -> Task:
    return Task(
        id=id,
        kind=kind,
        name=id,
        state=State.QUEUED,
        spec={},
        policy=Policy(**policy),
        run_directory=id,
        created_at=datetime.now(UTC),
    )


async def put(queue: Queue, *tasks: Task) -> None:
    for one in tasks:
        await queue.put(one)


def test_tasks_are_taken_in_the_order_they_came(play: Play) -> None:
    """Nobody may be overtaken by an equal."""

    async def scenario(queue: Queue) -> None:
        await put(queue, *map(task, "abc"))

        assert await queue.take("w", 2, {}) == ("a", "b")
        assert await queue.take("w", 2, {"a": 1, "b": 1}) == ("c",)

    play(scenario)


def test_higher_priority_goes_first(play: Play) -> None:
    """And within one priority the order of arrival holds."""

    async def scenario(queue: Queue) -> None:
        await put(queue, task("low", priority=-1), task("a"), task("high", priority=5), task("b"))

        assert await queue.take("w", 9, {}) == ("high", "a", "b", "low")

    play(scenario)


def test_a_task_that_is_put_twice_is_handed_out_once(play: Play) -> None:
    """Nothing runs twice."""

    async def scenario(queue: Queue) -> None:
        await put(queue, task("a"), task("a"))

        assert await queue.take("w", 9, {}) == ("a",)
        await put(queue, task("a"))
        assert await queue.take("v", 9, {}) == ()

    play(scenario)


def test_what_got_lost_on_the_way_is_handed_out_again(play: Play) -> None:
    """The answer to a long poll can be lost with its connection."""

    async def scenario(queue: Queue) -> None:
        await put(queue, task("a"))
        await queue.take("w", 1, {})

        assert await queue.take("other", 1, {}) == ()
        assert await queue.take("w", 1, {"a": 1}) == ()
        assert await queue.take("w", 1, {}) == ("a",)

    play(scenario)


def test_who_has_a_task_is_known_until_its_start_is(play: Play) -> None:
    """In between it may have begun, and cannot be withdrawn."""

    async def scenario(queue: Queue) -> None:
        await put(queue, *map(task, "ab"))
        assert not queue.is_handed_out("a")

        await queue.take("w", 2, {})
        assert queue.is_handed_out("a")
        await queue.started("a")
        assert not queue.is_handed_out("a")
        await queue.release("w")
        assert not queue.is_handed_out("b")

    play(scenario)


def test_lost_ones_that_share_a_process_are_all_handed_out_again(play: Play) -> None:
    """Together they have room in one slot, as before."""

    async def scenario(queue: Queue) -> None:
        small = [replace(task(f"s{n}"), spec={"tier": "pool"}) for n in range(9)]
        await put(queue, *small)
        taken = await queue.take("w", 1, {})

        assert await queue.take("w", 1, {}) == taken == tuple(one.id for one in small)
        assert await queue.take("w", 0, {}) == ()

    play(scenario)


def test_a_worker_that_clears_an_earlier_attempt_away_does_not_have_the_next(play: Play) -> None:
    """Else a retry would be taken for delivered, and wait for ever."""

    async def scenario(queue: Queue) -> None:
        await put(queue, replace(task("a"), attempt=1))
        await queue.take("w", 1, {"a": 1})

        assert await queue.take("w", 1, {"a": 1}) == ("a",)
        assert await queue.take("w", 1, {"a": 2}) == ()

    play(scenario)


def test_what_a_worker_has_from_an_earlier_server_is_not_given_to_another(play: Play) -> None:
    """The server that handed it out was killed before it heard of the start."""

    async def scenario(queue: Queue) -> None:
        await put(queue, task("a"))

        assert await queue.take("w", 1, {"a": 1}) == ()
        assert await queue.take("other", 1, {}) == ()

    play(scenario)


def test_a_started_task_is_never_handed_out_again(play: Play) -> None:
    """Whatever becomes of its worker's connection."""

    async def scenario(queue: Queue) -> None:
        await put(queue, task("a"))
        await queue.take("w", 1, {})

        await queue.started("a")
        await queue.release("w")

        assert await queue.take("w", 1, {}) == ()

    play(scenario)


def test_a_dead_workers_unstarted_tasks_stand_where_they_stood(play: Play) -> None:
    """They have waited longest."""

    async def scenario(queue: Queue) -> None:
        await put(queue, *map(task, "abc"))
        await queue.take("dead", 2, {})
        await queue.started("a")

        await queue.release("dead")

        assert await queue.take("w", 9, {}) == ("b", "c")

    play(scenario)


def test_a_removed_task_is_gone(play: Play) -> None:
    """It was cancelled, while it waited or on its way."""

    async def scenario(queue: Queue) -> None:
        await put(queue, *map(task, "ab"))
        await queue.take("w", 1, {})

        await queue.remove("a")
        await queue.remove("b")
        await queue.remove("never seen")

        assert await queue.take("w", 9, {}) == ()

    play(scenario)


def test_no_more_run_than_all_workers_together_may(play: Play) -> None:
    """A second worker must not double the load of the machine."""

    async def scenario(queue: Queue) -> None:
        await put(queue, *map(task, "abc"))

        assert await queue.take("v", 1, {}) == ("a",)
        assert await queue.take("w", 9, {}) == ("b",)
        await queue.started("a")
        assert await queue.take("w", 9, {"b": 1}) == ()
        await queue.remove("a")
        assert await queue.take("w", 9, {"b": 1}) == ("c",)

    play(scenario, total=2)


def test_many_tasks_that_share_a_process_take_the_place_of_one(play: Play) -> None:
    """A worker takes them by the dozen, and others still have their places."""

    async def scenario(queue: Queue) -> None:
        small = [
            replace(task(f"s{n}", "python_function"), spec={"tier": "pool"}) for n in range(99)
        ]
        await put(queue, *small, task("a"), task("b"))

        first = await queue.take("w", 2, {})

        assert first == (*(f"s{n}" for n in range(99)),)
        assert await queue.take("w", 9, dict.fromkeys(first, 1)) == ()
        for one in first[:99]:
            await queue.started(one)
            await queue.remove(one)
        assert await queue.take("w", 9, {}) == ("a", "b")

    play(scenario, total=2)


def test_tasks_of_one_key_run_one_after_the_other(play: Play) -> None:
    """And block nobody who stands behind them."""

    async def scenario(queue: Queue) -> None:
        await put(
            queue,
            task("a", concurrency_key="db", priority=9),
            task("b", concurrency_key="db", priority=9),
            task("c"),
            task("d", concurrency_key="other"),
        )

        assert await queue.take("w", 9, {}) == ("a", "c", "d")
        await queue.started("a")
        await queue.remove("a")
        assert await queue.take("w", 9, {"c": 1, "d": 1}) == ("b",)

    play(scenario)


def test_a_key_may_be_allowed_more(play: Play) -> None:
    """Two cards carry two trainings."""

    async def scenario(queue: Queue) -> None:
        await put(queue, *(task(id, concurrency_key="gpu") for id in "abc"))

        assert await queue.take("w", 9, {}) == ("a", "b")

    play(scenario, keys={"gpu": 2})


def test_a_kind_has_its_own_limit(play: Play) -> None:
    """A key counts over all kinds, a kind over all keys."""

    async def scenario(queue: Queue) -> None:
        await put(
            queue,
            task("a", kind="agent"),
            task("b", kind="agent", concurrency_key="x"),
            task("c"),
            task("d", concurrency_key="x"),
        )

        assert await queue.take("w", 9, {}) == ("a", "c", "d")

    play(scenario, kinds={"agent": 1})


def test_a_held_kind_waits_and_is_let_go(play: Play) -> None:
    """What a circuit breaker does: hold, probe, let go."""

    async def scenario(queue: Queue) -> None:
        await put(queue, *map(task, "abc"), task("other", kind="shell"))

        queue.limit_kind("notebook", 0)
        assert await queue.take("w", 9, {}) == ("other",)
        queue.limit_kind("notebook", 1)
        assert await queue.take("w", 9, {"other": 1}) == ("a",)
        queue.limit_kind("notebook", None)
        assert await queue.take("w", 9, {"other": 1, "a": 1}) == ("b", "c")

    play(scenario)


def test_a_place_that_becomes_free_wakes_the_waiting(play: Play) -> None:
    """The next of a key starts as soon as the last one has ended."""

    async def scenario(queue: Queue) -> None:
        await put(queue, *(task(id, concurrency_key="db") for id in "ab"))
        await queue.take("w", 1, {})
        before = queue.version

        await queue.remove("a")

        await asyncio.wait_for(queue.changed(before, 10 * PATIENCE_SECONDS), PATIENCE_SECONDS)

    play(scenario)


def test_a_waiter_wakes_at_once_and_misses_nothing(play: Play) -> None:
    """A task starts as soon as it is queued, and a change between look and wait counts."""

    async def scenario(queue: Queue) -> None:
        before = queue.version
        await put(queue, task("a"))
        await asyncio.wait_for(queue.changed(before, 10 * PATIENCE_SECONDS), PATIENCE_SECONDS)

        waiting = asyncio.create_task(queue.changed(queue.version, 10 * PATIENCE_SECONDS))
        await asyncio.sleep(0)
        queue.notify()
        await asyncio.wait_for(waiting, PATIENCE_SECONDS)

    play(scenario)


def test_waiting_ends_after_the_time_out(play: Play) -> None:
    """A long poll must end."""

    async def scenario(queue: Queue) -> None:
        await queue.changed(queue.version, 0.01)

    play(scenario)
