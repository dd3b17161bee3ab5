"""Steps that share a process, when something around them dies or is told to stop."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from typing import Any

import pytest

from tests.chaos import ledger
from tests.chaos.checks import history_holds, says_the_same
from tests.chaos.conftest import MakeWorld
from tests.chaos.world import World

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

_FUNCTIONS = """
import os, subprocess, time

def mark():
    with open(os.path.join(os.environ["OPSPAWN_RUN_DIRECTORY"], "artifacts", "marks"), "a") as file:
        file.write("x")

def quick(n):
    mark()
    return n

def stay(release):
    subprocess.Popen(["sleep", "600"], start_new_session=True)
    mark()
    while not os.path.exists(release):
        time.sleep(0.05)
"""
#: Of each kind of step: more than there are processes, so that some wait.
_LONG, _QUICK = 6, 24


def begun(world: World) -> str:
    """The workflow, as soon as a step of it is at work while others wait behind it."""
    (world.root / "pooled.py").write_text(_FUNCTIONS)
    release = str(world.root / "release")
    steps = [_step(f"l{n}", "stay", release) for n in range(_LONG)]
    steps += [_step(f"q{n}", "quick", n) for n in range(_QUICK)]
    body = {"kind": "workflow", "spec": {"graph": {"tasks": steps}}, "idempotency_key": "flow"}
    workflow = str(world.api("POST", "tasks", body)["id"])
    world.await_("a step at work", lambda: any(_marks(world, workflow).values()))
    return workflow


def _step(id: str, function: str, *args: object) -> dict[str, Any]:
    config = {"function": f"pooled:{function}", "args": list(args), "tier": "pool"}
    return {"id": id, "plugin": "python_function", "config": config}


def _steps(world: World, workflow: str) -> dict[str, dict[str, Any]]:
    tasks = world.api("GET", f"tasks?parent={workflow}&limit=200")["tasks"]
    return {task["step"]: task for task in tasks}


def _has_crashed(world: World, workflow: str) -> bool:
    return any(task["state"] == "crashed" for task in _steps(world, workflow).values())


def _marks(world: World, workflow: str) -> dict[str, int]:
    """How often each step's function was called."""
    paths = {
        name: world.root / task["run_directory"] / "artifacts" / "marks"
        for name, task in _steps(world, workflow).items()
    }
    return {name: len(path.read_bytes()) if path.exists() else 0 for name, path in paths.items()}


def settled(world: World, workflow: str) -> Counter[str]:
    """How many steps ended in each state, once all have and what must hold was found to; the world
    is ended."""
    world.ended(workflow)
    steps, marks = _steps(world, workflow), _marks(world, workflow)
    assert len(steps) == _LONG + _QUICK
    for name, task in steps.items():
        assert marks[name] <= task["attempt"] <= 1, task
        assert marks[name] == 1 or task["state"] != "success", task
        world.await_(f"no process of {name}", lambda task=task: not world.of_task(task["id"]))
    world.end()
    for task in steps.values():
        says_the_same(world.root / task["run_directory"], task)
    asyncio.run(history_holds(world, list(steps.values())))
    ledger.note(world, list(steps.values()))
    return Counter(task["state"] for task in steps.values())


def test_a_killed_server_costs_a_pool_nothing(make_world: MakeWorld) -> None:
    """The worker goes on with what it has; the rest waits for the next server."""
    world = make_world()
    workflow = begun(world)

    world.kill_server()
    (world.root / "release").touch()

    assert settled(world, workflow) == {"success": _LONG + _QUICK}


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_worker_that_ends_takes_only_what_its_pool_had_begun(
    make_world: MakeWorld, number: int
) -> None:
    """What waited in it had not begun: each step runs once, in another worker's pool."""
    world = make_world()
    workflow = begun(world)
    (worker,) = world.workers()

    world.kill(worker, number)
    world.await_("its end", lambda: worker not in world.workers())
    # Its processes may outlive it for a moment, and what is released in it succeeds.
    world.await_("the end of its steps", lambda: _has_crashed(world, workflow))
    (world.root / "release").touch()

    states = settled(world, workflow)
    assert 1 <= states["crashed"] <= _LONG
    assert states["success"] + states["crashed"] == _LONG + _QUICK


def test_a_cancelled_workflow_ends_its_pool(make_world: MakeWorld) -> None:
    """No step begins any more, and none that was at work stays, nor what it had started."""
    world = make_world()
    workflow = begun(world)

    world.cancel(workflow)

    states = settled(world, workflow)
    assert set(states) <= {"cancelled", "success"}
    assert states["cancelled"] >= 1
