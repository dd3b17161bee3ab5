"""Servers, workers, runners and kernels that die at work."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from tests.chaos.checks import check
from tests.chaos.conftest import MakeWorld
from tests.chaos.world import CHILD, World, living
from tests.stopwatch import Stopwatch

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

#: A worker's death is noticed, and what a new server has to know is known to it, within this time.
DETECTION_SECONDS = 5.0


def until(release: Path) -> str:
    """A cell that is at work until the file is there."""
    return f"while not os.path.exists({str(release)!r}): time.sleep(0.05)"


def test_a_killed_server_costs_nothing(make_world: MakeWorld) -> None:
    """The worker goes on; the next server, on another port with another token, has the truth:
    also of what began and ended while there was none."""
    world = make_world()
    release = world.root / "release"
    ends_meanwhile = world.submit(until(release))
    goes_on = world.submit(until(world.root / "later"))
    world.at_cell(ends_meanwhile, 1)
    world.at_cell(goes_on, 1)
    directory = world.directory(ends_meanwhile)
    (worker,) = world.workers()

    killed_at = time.monotonic()
    world.kill_server()
    release.touch()
    world.await_("end", lambda: "task.succeeded" in (directory / "events.jsonl").read_text())
    started_at = time.monotonic()
    world.server.await_health()
    answered_at, watch = time.monotonic(), Stopwatch()
    assert world.ended(ends_meanwhile)["state"] == "success"
    right_at, right_after = time.monotonic(), watch.seconds

    assert world.task(goes_on)["state"] == "running"
    assert world.workers() == [worker]
    (world.root / "later").touch()
    assert {task["state"] for task in check(world)} == {"success"}
    print(
        f"recovery: {right_at - killed_at:.1f} s after the kill; server up after "
        f"{answered_at - started_at:.1f} s, right {right_at - answered_at:.2f} s later"
    )
    assert right_after < DETECTION_SECONDS


def test_a_stopped_server_leaves_its_worker_at_work(make_world: MakeWorld) -> None:
    """SIGTERM is how a server is restarted; no run is lost for it."""
    world = make_world()
    task_id = world.submit(CHILD, until(world.root / "release"))
    world.at_cell(task_id, 2)

    world.stop_server()
    assert len(world.workers()) == 1
    (world.root / "release").touch()

    assert [task["state"] for task in check(world)] == ["success"]


def test_a_killed_worker_is_noticed_and_leaves_nothing(make_world: MakeWorld) -> None:
    """Its runs are crashed within five seconds, and what they had started is gone. Cells with an
    environment of their own for a child, or a session of its own, do not escape."""
    world = make_world(settings={"max_running_tasks": 2})
    bare = "subprocess.Popen(['sleep', '600'], env={}, start_new_session=True)"
    stubborn = f"{CHILD}\n{bare}\nsum(range(10**13))"
    lost = [world.submit(f"{CHILD}\ntime.sleep(600)"), world.submit(stubborn)]
    waiting = world.submit("1")
    for task_id in lost:
        world.at_cell(task_id, 1)
    (worker,) = world.workers()
    family = worker.children(recursive=True)

    killed_at, watch = time.monotonic(), Stopwatch()
    world.kill(worker)
    crashed = [world.ended(task_id) for task_id in lost]
    noticed = watch.seconds

    print(f"worker's death known after {time.monotonic() - killed_at:.1f} s")
    assert noticed < DETECTION_SECONDS
    assert [task["state"] for task in crashed] == ["crashed", "crashed"]
    assert [task["error"]["name"] for task in crashed] == ["WorkerDied", "WorkerDied"]
    world.await_("no process of it", lambda: not living(process.pid for process in family))
    assert world.ended(waiting)["state"] == "success"
    check(world)


def test_after_a_reboot_every_task_finds_its_end(make_world: MakeWorld) -> None:
    """Everything is gone at one moment; the next server settles what ran, and runs what waited."""
    world = make_world(settings={"max_running_tasks": 2})
    lost = [world.submit("time.sleep(600)"), world.submit(f"{CHILD}\ntime.sleep(600)")]
    again = world.submit("1", max_retries=1, retry_delay_seconds=0)
    for task_id in lost:
        world.at_cell(task_id, 1)

    world.kill_everything()

    assert [world.ended(task_id)["state"] for task_id in lost] == ["crashed", "crashed"]
    assert world.ended(again)["state"] == "success"
    check(world)


def test_an_end_that_only_the_journal_knows_is_true_after_a_reboot(make_world: MakeWorld) -> None:
    """The server is killed first, the run ends, then the worker is killed: nobody alive knows."""
    world = make_world()
    release = world.root / "release"
    task_id = world.submit(until(release))
    world.at_cell(task_id, 1)
    directory = world.directory(task_id)
    world.kill_server()
    release.touch()
    world.await_("end", lambda: "task.succeeded" in (directory / "events.jsonl").read_text())

    world.kill_everything()

    assert [task["state"] for task in check(world)] == ["success"]


def kill_runner(world: World, task_id: str) -> None:
    log = str(world.directory(task_id) / "run.log")
    (runner,) = [
        one
        for one in world.processes("runner")
        if os.path.realpath(f"/proc/{one.pid}/fd/1") == log  # where its output goes
    ]
    world.kill(runner)


def test_deaths_below_the_worker_are_crashes_with_their_signal(make_world: MakeWorld) -> None:
    """Killed from outside, by the kernel's own fault, for want of memory: none is a failure of
    the notebook; and what raises is one."""
    world = make_world()
    sources = {
        "SIGKILL": f"{CHILD}\nos.kill(os.getpid(), 9)",
        "SIGSEGV": f"{CHILD}\nimport ctypes\nctypes.string_at(0)",
        "SIGABRT": f"{CHILD}\nimport ctypes\nctypes.CDLL(None).abort()",
        "runner": f"{CHILD}\ntime.sleep(600)",
    }
    tasks = {name: world.submit(source) for name, source in sources.items()}
    limit = "import resource\nresource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))\n"
    too_much = world.submit(f"{CHILD}\n{limit}bytearray(8 << 30)")
    world.at_cell(tasks["runner"], 1)
    kill_runner(world, tasks["runner"])

    ended = {name: world.ended(task_id) for name, task_id in tasks.items()}
    killed_runner = ended.pop("runner")

    assert {task["state"] for task in ended.values()} == {"crashed"}
    assert {name: task["error"]["signal"] for name, task in ended.items()} == {
        name: name for name in ended
    }
    assert (killed_runner["state"], killed_runner["error"]["signal"]) == ("crashed", "SIGKILL")
    failed = world.ended(too_much)
    assert (failed["state"], failed["error"]["name"]) == ("failed", "MemoryError")
    check(world)


@pytest.mark.parametrize("number", [signal.SIGSTOP])
def test_a_worker_that_hangs_is_not_taken_for_dead(make_world: MakeWorld, number: int) -> None:
    """A laptop that slept, a machine that swapped: what ran goes on."""
    world = make_world()
    task_id = world.submit(until(world.root / "release"))
    world.at_cell(task_id, 1)
    (worker,) = world.workers()

    worker.send_signal(number)
    (world.root / "release").touch()
    time.sleep(3)  # longer than the run needs, and than the server looks away
    assert world.task(task_id)["state"] == "running"
    worker.send_signal(signal.SIGCONT)

    assert [task["state"] for task in check(world)] == ["success"]
