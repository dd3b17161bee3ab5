"""The server answers as quickly with 20 running tasks as with none."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

import nbformat
import pytest

from jupyter_process import JupyterProcess, jupyter_server

RUNNING = 20
REQUESTS = 60

#: Prints until the file ``stop`` is there.
TALKATIVE = """
import pathlib, time
while not pathlib.Path("stop").exists():
    print("still here", flush=True)
    time.sleep(0.1)
"""


def seconds_of_each_request(server: JupyterProcess) -> list[float]:
    taken = []
    for _ in range(REQUESTS):
        began = time.perf_counter()
        server.call("GET", "api/status")
        taken.append(time.perf_counter() - began)
    return taken


def wait_until_running(server: JupyterProcess, count: int) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        page = server.api("GET", "tasks?state=running&limit=100")
        at_work = [task for task in page["tasks"] if task["cells"]]
        if len(at_work) == count and all(t["cells"][0]["state"] == "running" for t in at_work):
            return
        time.sleep(0.2)
    pytest.fail(f"fewer than {count} tasks came to run")


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_twenty_talkative_tasks_do_not_hold_the_event_loop(tmp_path: Path) -> None:
    """User code, papermill, the database and the outputs' way to listeners all stay off the loop.

    A loop that does their work itself is away for seconds at a time. The limit is far above what
    a busy machine adds and far below that; the figures are printed, not judged.
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

    print(
        f"/api/status, median ms: idle {statistics.median(idle) * 1000:.1f},"
        f" with {RUNNING} tasks {statistics.median(busy) * 1000:.1f};"
        f" worst: {max(idle) * 1000:.1f}, {max(busy) * 1000:.1f}"
    )
    assert states == {"success"}
    assert statistics.median(busy) < 0.25
    assert max(busy) < 1.5
