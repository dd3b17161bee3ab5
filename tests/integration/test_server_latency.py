"""The server answers as quickly with 20 running tasks as with none."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

import nbformat
import pytest

from jupyter_process import PATIENCE_SECONDS, JupyterProcess, jupyter_server
from tests.stopwatch import Stopwatch

RUNNING = 20
REQUESTS = 60

#: Prints until the file ``stop`` is there.
TALKATIVE = """
import pathlib, time
while not pathlib.Path("stop").exists():
    print("still here", flush=True)
    time.sleep(0.1)
"""


def seconds_of_each_request(server: JupyterProcess) -> list[tuple[float, float]]:
    """By the clock, and as far as the machine had time to give."""
    taken = []
    for _ in range(REQUESTS):
        began, watch = time.perf_counter(), Stopwatch()
        server.call("GET", "api/status")
        taken.append((time.perf_counter() - began, watch.seconds))
    return taken


def wait_until_running(server: JupyterProcess, count: int) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        page = server.api("GET", "tasks?state=running&limit=100")
        at_work = [task for task in page["tasks"] if task["cells"]]
        if len(at_work) == count and all(t["cells"][0]["state"] == "running" for t in at_work):
            return
        time.sleep(0.2)
    pytest.fail(f"fewer than {count} tasks came to run")


@pytest.mark.slow
def test_twenty_talkative_tasks_do_not_hold_the_event_loop(tmp_path: Path) -> None:
    """User code, papermill, the database and the outputs' way to listeners all stay off the loop.

    A loop that does their work itself is away for seconds at a time. The limit is far below that,
    and what the machine had no processor for does not count; the figures are printed, not judged.
    """
    root = tmp_path / "root"
    root.mkdir()
    nbformat.write(
        nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(TALKATIVE)]),
        root / "talkative.ipynb",
    )
    limit = [f"--OpspawnExtension.max_running_tasks={RUNNING}"]
    with jupyter_server(root, tmp_path / "home", arguments=limit) as server:
        server.await_health()
        idle = seconds_of_each_request(server)

        body = {"kind": "notebook", "spec": {"notebook": "talkative.ipynb"}}
        ids = [server.api("POST", "tasks", body)["id"] for _ in range(RUNNING)]
        wait_until_running(server, RUNNING)
        busy = seconds_of_each_request(server)
        (root / "stop").touch()
        states = {server.await_task(id)["state"] for id in ids}

    idle_told = [seconds for seconds, _ in idle]
    told, judged = zip(*busy, strict=True)
    print(
        f"/api/status, median ms: idle {statistics.median(idle_told) * 1000:.1f},"
        f" with {RUNNING} tasks {statistics.median(told) * 1000:.1f};"
        f" worst: {max(idle_told) * 1000:.1f}, {max(told) * 1000:.1f}"
    )
    assert states == {"success"}
    assert statistics.median(judged) < 0.25
    assert max(judged) < 1.5
