"""A task from its submission to its files, through a real server and its own worker."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from pathlib import Path
from typing import Any

import nbformat
import psutil
import pytest
from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect

from jupyter_process import PATIENCE_SECONDS
from opspawn_jupyter.server.routing import API

FINAL = ("success", "failed", "timed_out", "crashed", "cancelled")


def write_notebook(path: Path, *sources: str) -> None:
    """A notebook of these code cells."""
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)


def submit(server, name: str) -> dict[str, Any]:
    status, task = server.json("POST", "tasks", body={"spec": {"notebook": name}})
    assert status == 201, task
    return task


def ended(server, task: dict[str, Any]) -> dict[str, Any]:
    """The task, once it has ended."""
    return server.wait(
        "the task's end",
        lambda: server.json("GET", f"tasks/{task['id']}")[1],
        lambda one: one["state"] in FINAL,
    )


async def hang_up(socket) -> None:
    """Close it and wait until it is."""
    socket.close()
    while await socket.read_message() is not None:
        pass


def workers(server) -> list[psutil.Process]:
    records = (server.root / ".opspawn" / "workers").glob("*.json")
    return [psutil.Process(json.loads(path.read_text())["pid"]) for path in records]


@pytest.fixture(scope="module")
def done(server) -> dict[str, Any]:
    """A notebook that has run well, and left a file."""
    step = "from opspawn_jupyter import step"
    write_notebook(
        server.root / "a b.ipynb",
        "print('hellö')",
        f"{step}\nstep.output('rows', 3)\nstep.artifact('data.csv').write_text('1,2')",
        "import os\nos.symlink('/etc/passwd', step.artifact('link'))",
    )
    return ended(server, submit(server, "a b.ipynb"))


def test_a_submitted_notebook_is_run_and_its_result_given(server, done):
    """The whole path: REST, store, queue, worker, kernel, and back."""
    status, result = server.json("GET", f"tasks/{done['id']}/result")

    assert (done["state"], done["error"]) == ("success", None)
    assert (status, result["outputs"]) == (200, {"rows": 3})
    assert [cell["state"] for cell in done["cells"]] == ["success"] * 3


def test_a_task_is_found_by_the_end_of_its_id(server, done):
    """People type eight characters."""
    assert server.json("GET", f"tasks/{done['id'][-8:]}")[1] == done


def test_tasks_are_listed_with_filters(server, done):
    """Panels and shells ask for some."""
    some = server.json("GET", "tasks?state=success&state=failed&kind=notebook&limit=500")[1]
    none = server.json("GET", "tasks?state=crashed&name=a%20b")[1]

    assert done["id"] in [task["id"] for task in some["tasks"]]
    assert none["tasks"] == []


def test_the_history_tells_the_story_in_order(server, done):
    """An audit reads it."""
    events = server.json("GET", f"tasks/{done['id']}/events")[1]["events"]

    types = [event["type"] for event in events]
    assert types[:3] == ["task.submitted", "task.queued", "task.started"]
    assert types[-1] == "task.succeeded"
    assert [e["seq"] for e in events] == sorted(e["seq"] for e in events)


def test_the_log_can_be_read(server, done):
    """It is for people."""
    log = server.json("GET", f"tasks/{done['id']}/logs?tail=100")[1]

    assert log["finished"]
    assert log["next_offset"] > 0


def test_artifacts_are_given_for_saving_and_links_are_not(server, done):
    """What user code made must neither act as the server's page nor show the server's files."""
    address = f"tasks/{done['id']}/artifacts"

    listed = server.json("GET", address)[1]["artifacts"]
    status, headers, body = server.ask("GET", f"{address}/data.csv")
    refused = [server.ask("GET", f"{address}/{name}")[0] for name in ("link", "..%2Foutput.ipynb")]

    assert listed == [{"path": "data.csv", "size_bytes": 3}]
    assert (status, body) == (200, b"1,2")
    assert headers["Content-Disposition"].startswith("attachment")
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in headers["Content-Security-Policy"]
    assert refused == [404, 404]


def test_the_executed_notebook_is_given_as_notebook_and_as_page(server, done):
    """To be opened in Jupyter, or sent to somebody without it."""
    address = f"tasks/{done['id']}/notebook"

    notebook = nbformat.reads(server.ask("GET", address)[2].decode(), as_version=4)
    status, headers, page = server.ask("GET", f"{address}?format=html")

    assert notebook.cells[0].outputs[0].text == "hellö\n"
    assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert headers["Content-Security-Policy"] == "sandbox allow-scripts"
    assert "hellö" in page.decode()


def test_an_ended_task_cannot_be_cancelled(server, done):
    """The answer says what state it is in."""
    status, answer = server.json("POST", f"tasks/{done['id']}/cancel")

    assert (status, answer["code"]) == (409, "illegal_transition")
    assert "success" in answer["message"]


def test_a_listener_can_leave_and_come_back(server):
    """A browser's connection breaks; what it shows must be right afterwards."""
    write_notebook(server.root / "stream.ipynb", "print('one')", "print('two')")

    async def listen() -> list[dict[str, Any]]:
        base = f"{server.jupyter.url.replace('http', 'ws')}{API}/events/stream"
        headers = {"Authorization": f"token {server.jupyter.token}"}
        first = await websocket_connect(HTTPRequest(base, headers=headers))
        hello = json.loads(await first.read_message())
        task = await asyncio.to_thread(submit, server, "stream.ipynb")
        seen = [json.loads(await first.read_message()) for _ in range(2)]
        await hang_up(first)
        await asyncio.to_thread(ended, server, task)
        again = f"{base}?after={seen[-1]['seq']}&task={task['id']}"
        second = await websocket_connect(HTTPRequest(again, headers=headers))
        assert json.loads(await second.read_message())["instance"] == hello["instance"]
        while seen[-1]["type"] not in ("task.succeeded", "task.failed", "task.crashed"):
            seen.append(json.loads(await asyncio.wait_for(second.read_message(), PATIENCE_SECONDS)))
        await hang_up(second)
        return seen

    seen = [event for event in asyncio.run(listen()) if event["type"] != "cell.output"]

    assert [event["seq"] for event in seen] == list(range(seen[0]["seq"], seen[-1]["seq"] + 1))
    assert seen[-1]["type"] == "task.succeeded"


def test_outputs_are_streamed_while_the_task_runs(server):
    """A cell that waits shows what the notebook prints as it prints it."""
    write_notebook(
        server.root / "wait.ipynb",
        "import pathlib, time\nprint('begun')",
        "while not pathlib.Path('go').exists(): time.sleep(0.02)",
    )

    async def listen() -> list[str]:
        task = await asyncio.to_thread(submit, server, "wait.ipynb")
        address = f"{server.jupyter.url.replace('http', 'ws')}{API}/events/stream"
        headers = {"Authorization": f"token {server.jupyter.token}"}
        request = HTTPRequest(f"{address}?after=0&task={task['id']}", headers=headers)
        socket = await websocket_connect(request)
        types: list[str] = []
        while not types or types[-1] != "task.succeeded":
            types.append(
                json.loads(await asyncio.wait_for(socket.read_message(), PATIENCE_SECONDS))["type"]
            )
            if types[-1] == "cell.output":
                (server.root / "go").touch()
        await hang_up(socket)
        return types

    types = asyncio.run(listen())

    assert "cell.output" in types


def test_a_worker_that_is_killed_is_noticed_and_replaced(server):
    """Nothing stays running for ever, and the next task does not wait for a person."""
    write_notebook(server.root / "long.ipynb", "import time\ntime.sleep(600)")
    task = submit(server, "long.ipynb")
    server.wait(
        "a running cell",
        lambda: server.json("GET", f"tasks/{task['id']}")[1],
        lambda one: any(cell["state"] == "running" for cell in one["cells"]),
    )
    (worker,) = workers(server)

    worker.kill()
    crashed = ended(server, task)
    write_notebook(server.root / "next.ipynb", "1")
    after = ended(server, submit(server, "next.ipynb"))

    assert (crashed["state"], after["state"]) == ("crashed", "success")
    assert [one.pid for one in workers(server)] != [worker.pid]


def test_a_worker_at_work_outlives_the_server_and_is_adopted(running, tmp_path):
    """Updating Jupyter must not cost anybody a night's run."""
    root, home = tmp_path / "root", tmp_path / "home"
    root.mkdir()
    write_notebook(
        root / "n.ipynb",
        "import pathlib, time",
        "while not pathlib.Path('go').exists(): time.sleep(.02)",
    )
    with running(root, home) as first:
        task = submit(first, "n.ipynb")
        first.wait(
            "a running cell",
            lambda: first.json("GET", f"tasks/{task['id']}")[1],
            lambda one: any(cell["state"] == "running" for cell in one["cells"]),
        )
        (worker,) = workers(first)
        os.kill(first.jupyter.process.pid, signal.SIGTERM)
        first.jupyter.process.wait(PATIENCE_SECONDS)
        assert worker.is_running()

        with running(root, home) as second:
            (root / "go").touch()
            done = ended(second, task)
            assert [one.pid for one in workers(second)] == [worker.pid]

    assert done["state"] == "success"


def test_an_idle_worker_ends_with_its_server(running, tmp_path):
    """A stopped Jupyter leaves nothing running."""
    write_notebook(tmp_path / "n.ipynb", "1")
    with running(tmp_path, tmp_path / "home") as one:
        ended(one, submit(one, "n.ipynb"))
        (worker,) = workers(one)
        os.kill(one.jupyter.process.pid, signal.SIGTERM)
        one.jupyter.process.wait(PATIENCE_SECONDS)

        assert not worker.is_running()
