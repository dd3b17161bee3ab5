"""``--keep-on-failure``: the kernel of a failed run, opened as a live kernel."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from jupyter_client.blocking import BlockingKernelClient

import jupyter_process
from jupyter_process import PATIENCE_SECONDS, JupyterProcess

CELLS = (
    "import subprocess\nchild = subprocess.Popen(['sleep', '600'], start_new_session=True)",
    "secret = 42\n1 / 0",
)
#: Those that were started; one that was stopped is stopped again, without harm.
_servers: list[JupyterProcess] = []


@pytest.fixture
def place(tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """Root and home of servers that follow each other; in the end nothing may live."""
    root, home = tmp_path / "root", tmp_path / "home"
    root.mkdir()
    yield root, home
    while _servers:
        jupyter_process.stop(_servers.pop().process)
    left = jupyter_process.await_none(home)
    jupyter_process.end_all(home)
    assert not left


def start(place: tuple[Path, Path], **settings: Any) -> JupyterProcess:
    variables = {f"OPSPAWN_{name.upper()}": str(value) for name, value in settings.items()}
    enabled = "--ServerApp.jpserver_extensions={'opspawn_jupyter': True}"
    server = jupyter_process.start(*place, arguments=[enabled], variables=variables)
    _servers.append(server)
    assert server.await_health()["status"] == "ok"
    return server


def run(server: JupyterProcess, *cells: str, **spec: Any) -> dict[str, Any]:
    """The task once it has ended."""
    made = [
        {"cell_type": "code", "id": f"c{n}", "source": source, "metadata": {}, "outputs": [],
         "execution_count": None}
        for n, source in enumerate(cells)
    ]  # fmt: skip
    kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    content = {"cells": made, "metadata": {"kernelspec": kernelspec}, "nbformat": 4,
               "nbformat_minor": 5}  # fmt: skip
    asked = {"content": content, "keep_on_failure": True, **spec}
    task = server.api("POST", "tasks", {"kind": "notebook", "spec": asked})
    return server.await_task(task["id"])


def await_(what: str, look: Callable[[], Any]) -> Any:
    end = time.monotonic() + PATIENCE_SECONDS
    while not (found := look()):
        assert time.monotonic() < end, what
        time.sleep(0.05)
    return found


def listed(server: JupyterProcess, task: dict[str, Any]) -> bool:
    kernels = server.call("GET", "api/kernels")
    return task["kept_kernel"]["id"] in {kernel["id"] for kernel in kernels}


def _notebooks(server: JupyterProcess) -> list[str]:
    return [one["path"] for one in server.call("GET", "api/sessions")]


def ask(connection_file: str, code: str) -> str:
    """What the expression is in the kernel."""
    client = BlockingKernelClient(connection_file=connection_file)
    client.load_connection_file()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=PATIENCE_SECONDS)
        reply = client.execute_interactive(
            "",
            user_expressions={"it": code},
            timeout=PATIENCE_SECONDS,
            output_hook=lambda _: None,
        )
        return str(reply["content"]["user_expressions"]["it"]["data"]["text/plain"])
    finally:
        client.stop_channels()
        client.context.destroy(linger=0)


def kernel_pid(task: dict[str, Any], server: JupyterProcess) -> int:
    events = server.api("GET", f"tasks/{task['id']}/events")["events"]
    started = next(event for event in events if event["type"] == "kernel.started")
    return int(started["data"]["pid"])


def await_gone(pids: list[int]) -> None:
    await_("still alive", lambda: not [pid for pid in pids if psutil.pid_exists(pid)])


def test_a_failed_runs_kernel_can_be_opened_and_closed(place: tuple[Path, Path]) -> None:
    """It has its variables, it is the kernel of the executed notebook, it outlives the server,
    and shutting it down where kernels are shut down ends it with what it had started."""
    server = start(place)
    task = run(server, *CELLS)

    assert task["state"] == "failed"
    assert ask(task["kept_kernel"]["connection_file"], "secret") == "42"
    await_("kernel not listed", lambda: listed(server, task))
    tied = [f"{task['run_directory']}/output.ipynb"]
    await_("not tied to its notebook", lambda: _notebooks(server) == tied)

    jupyter_process.stop(server.process)
    server = start(place)
    await_("kernel not listed by the next server", lambda: listed(server, task))
    assert ask(task["kept_kernel"]["connection_file"], "secret") == "42"

    child = int(ask(task["kept_kernel"]["connection_file"], "child.pid"))
    family = [kernel_pid(task, server), child]
    server.call("POST", f"api/kernels/{task['kept_kernel']['id']}/interrupt")
    server.call("DELETE", f"api/kernels/{task['kept_kernel']['id']}")
    await_gone(family)
    await_("record stays", lambda: not list(place[0].glob(".opspawn/kernels/*")))
    # The server may have looked once more before the worker took the record away.
    await_("kernel stays listed", lambda: not listed(server, task))
    assert run(server, "1")["state"] == "success"


def test_kept_kernels_are_few_and_end_at_their_time(place: tuple[Path, Path]) -> None:
    """Nobody looks after them; memory is not filled by failures. They take no task's place."""
    server = start(place, kept_kernels=1, max_running_tasks=1)
    first = run(server, *CELLS)
    second = run(server, *CELLS)
    await_gone([kernel_pid(first, server)])
    await_("kernel not listed", lambda: listed(server, second))
    server.call("DELETE", f"api/kernels/{second['kept_kernel']['id']}")
    await_gone([kernel_pid(second, server)])
    jupyter_process.stop(server.process)

    server = start(place, kept_kernels=1, kept_kernel_seconds=2, max_running_tasks=1)
    third = run(server, *CELLS)
    await_gone([kernel_pid(third, server)])
    await_("still listed", lambda: not listed(server, third))


def test_only_failed_runs_keep_their_kernel(place: tuple[Path, Path]) -> None:
    """And only where somebody asked."""
    server = start(place)

    assert run(server, "1")["kept_kernel"] is None
    assert run(server, "1 / 0", keep_on_failure=False)["kept_kernel"] is None

    jupyter_process.stop(server.process)
    summaries = [
        json.loads(path.read_text()) for path in place[0].glob("opspawn_runs/*/summary.json")
    ]
    assert {one["state"] for one in summaries} == {"success", "failed"}


def test_a_kept_kernel_ends_with_its_worker(place: tuple[Path, Path]) -> None:
    """However the worker ends."""
    server = start(place)
    task = run(server, *CELLS)
    child = int(ask(task["kept_kernel"]["connection_file"], "child.pid"))
    family = [kernel_pid(task, server), child]
    (record,) = place[0].glob(".opspawn/workers/*.json")

    psutil.Process(json.loads(record.read_text())["pid"]).kill()

    await_gone(family)
    jupyter_process.stop(server.process)
