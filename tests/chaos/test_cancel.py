"""A task that is cancelled, at every moment of its life."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.chaos.checks import check
from tests.chaos.conftest import MakeWorld
from tests.chaos.world import CHILD, GRACE_SECONDS, World, is_long
from tests.stopwatch import Stopwatch

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

#: Interrupt, terminate, kill; and what noticing, saving and reporting takes.
LIMIT_SECONDS = 3 * GRACE_SECONDS + 5.0


def cancelled(world: World, task_id: str) -> dict[str, object]:
    """The task, ended in time after being cancelled."""
    watch = Stopwatch()
    world.cancel(task_id)
    task = world.ended(task_id)
    assert watch.seconds < LIMIT_SECONDS, task
    return task


def at_once(_world: World, _task_id: str) -> None:
    return


def has(event: str) -> Callable[[World, str], None]:
    def wait(world: World, task_id: str) -> None:
        events = f"tasks/{task_id}/events"
        world.await_(event, lambda: event in json.dumps(world.api("GET", events)))

    return wait


def test_a_queued_task_ends_at_once(make_world: MakeWorld) -> None:
    """Nothing of it ever runs; and a task that waits for its next attempt is no different."""
    world = make_world(settings={"max_running_tasks": 1})
    busy = world.submit("time.sleep(600)")
    world.at_cell(busy, 1)
    queued = world.submit("1")

    assert cancelled(world, queued)["state"] == "cancelled"
    assert not (world.directory(queued) / "output.ipynb").exists()
    assert cancelled(world, busy)["state"] == "cancelled"

    retried = world.submit("1 / 0", max_retries=3, retry_delay_seconds=600)
    world.await_("retrying", lambda: world.task(retried)["state"] == "retrying")
    assert cancelled(world, retried)["state"] == "cancelled"
    check(world)


IN_A_CELL = {
    "sleeping": "time.sleep(600)",
    "in a C loop that no interrupt reaches": "sum(range(10**13))",
    "ignoring every signal": "import signal\nsignal.signal(2, signal.SIG_IGN)\n"
    "signal.signal(15, signal.SIG_IGN)\ntime.sleep(600)",
}
AT_THE_START = {
    "just submitted": at_once,
    "before the kernel": has("task.started"),
    "kernel starting": has("kernel.started"),
}


def test_running_tasks_are_cancelled(make_world: MakeWorld) -> None:
    """In time, with all that their cells started, and the notebooks say what had run."""
    world = make_world(settings={"max_running_tasks": 3})
    stubborn = [world.submit(f"{CHILD}\n{source}") for source in IN_A_CELL.values()]
    for task_id in stubborn:
        world.at_cell(task_id, 1)

    watch = Stopwatch()
    for task_id in stubborn:
        world.cancel(task_id)
    states = [world.ended(task_id)["state"] for task_id in stubborn]

    assert watch.seconds < LIMIT_SECONDS
    assert states == ["cancelled"] * 3
    for moment in AT_THE_START.values():
        task_id = world.submit(CHILD, "time.sleep(600)")  # it is too quick otherwise
        moment(world, task_id)
        assert cancelled(world, task_id)["state"] == "cancelled"
    check(world)


def test_a_task_that_its_worker_has_just_been_given_is_cancelled(make_world: MakeWorld) -> None:
    """Whether or not its start is heard of in time, no cell of it runs that the history denies."""
    world = make_world(faults="worker.before_start=wait")
    task_id = world.submit(CHILD, "time.sleep(600)")
    world.await_("handed out", lambda: "worker.before_start" in world.happened)

    assert cancelled(world, task_id)["state"] == "cancelled"

    check(world)


POINTS = ["runner.before_save", "runner.before_outcome", "runner.after_outcome"]


@pytest.mark.parametrize("point", POINTS if is_long() else POINTS[1:2])
def test_a_task_that_is_about_to_end_is_cancelled(make_world: MakeWorld, point: str) -> None:
    """Both ends are true ones; it gets one of them, and everything agrees on which."""
    world = make_world(faults=f"{point}=wait")
    task_id = world.submit("1")
    world.await_(point, lambda: point in world.happened)

    assert cancelled(world, task_id)["state"] in ("cancelled", "success")

    check(world)
