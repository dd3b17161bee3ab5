"""A fault at each step of a task's life."""

from __future__ import annotations

import pytest

from opspawn_jupyter import faults
from tests.chaos.checks import check
from tests.chaos.conftest import MakeWorld
from tests.chaos.world import CHILD, World, is_long

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

CELLS = (f"{CHILD}\nprint('one')\ntime.sleep(0.2)", "print('two')\ntime.sleep(0.2)")
SERVER = [name for name in faults.POINTS if name.startswith(("server.", "store."))]
WORKER = [name for name in faults.POINTS if name.startswith("worker.")]
RUNNER = [name for name in faults.POINTS if name.startswith("runner.")]
#: All that a notebook comes by. Agents have others, which ``test_runner_agent.py`` kills them at.
NOTEBOOK = SERVER + WORKER + RUNNER


def live_through(world: World, planned: list[str]) -> None:
    """Submit tasks, two at a time, until each fault has happened."""
    for _ in range(30):
        both = [world.submit(*CELLS), world.submit(*CELLS, max_retries=1, retry_delay_seconds=0)]
        for task_id in both:
            world.ended(task_id)
        if world.happened >= set(planned):
            return
    raise AssertionError(set(planned) - world.happened)


@pytest.mark.parametrize(
    "points",
    [
        pytest.param(SERVER, id="server and store"),
        pytest.param(WORKER[:3], id="worker, before it reports"),
        pytest.param(WORKER[3:], id="worker, while it reports"),
        pytest.param(RUNNER, id="runner"),
    ],
)
def test_a_process_is_killed_at_each_point(make_world: MakeWorld, points: list[str]) -> None:
    """Whoever dies, and wherever: nothing is lost, nothing runs twice, nothing stays."""
    world = make_world(faults=",".join(f"{point}=kill" for point in points))

    live_through(world, points)

    tasks = check(world)
    assert {task["state"] for task in tasks} <= {"success", "crashed"}
    assert all(task["state"] == "success" or task["attempt"] for task in tasks)


if is_long():

    @pytest.mark.parametrize(
        "fault",
        [f"{point}={action}" for point in NOTEBOOK for action in ("kill", "wait")]
        + [f"{point}=kill@3" for point in SERVER + WORKER]
        + ["runner.before_save=kill@2", "runner.between_cells=kill@2"],
    )
    def test_one_fault_at_one_point(make_world: MakeWorld, fault: str) -> None:
        """Each by itself, so that no other hides what it does; also later than the first time."""
        world = make_world(faults=fault)

        live_through(world, [fault.partition("=")[0]])

        check(world)


def test_a_disk_is_full_for_a_moment(make_world: MakeWorld) -> None:
    """What can wait is written later; what cannot is refused or fails with the reason."""
    points = ["store.before_sync", "store.before_flush", "worker.before_journal"]
    points.append("runner.before_save")
    world = make_world(faults=",".join(f"{point}=full@2" for point in points))

    live_through(world, points)

    tasks = check(world)
    assert {task["state"] for task in tasks} == {"success"}
