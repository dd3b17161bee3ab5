"""Retries, priorities and hooks through a real server, its worker and real kernels."""

from __future__ import annotations

import hashlib
import hmac
import json
import queue
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import nbformat
import pytest

from jupyter_process import PATIENCE_SECONDS

FINAL = ("success", "failed", "timed_out", "crashed", "cancelled")
SECRET = "the server's own"


class Receiver:
    """A web server that keeps what is posted to it."""

    def __init__(self) -> None:
        self.posts: queue.Queue[tuple[dict[str, str], bytes]] = queue.Queue()
        posts = self.posts

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                posts.put((dict(self.headers), self.rfile.read(length)))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/hook?for=test"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    one = Receiver()
    yield one
    one.close()


@pytest.fixture(scope="module")
def server(running, tmp_path_factory: pytest.TempPathFactory):
    """A server that runs one task at a time and signs what it sends."""
    root = tmp_path_factory.mktemp("root")
    settings = {"max_running_tasks": 1, "webhook_secret": SECRET}
    arguments = [f"--OpspawnExtension.{name}={value}" for name, value in settings.items()]
    with running(root, tmp_path_factory.mktemp("home"), *arguments) as one:
        yield one


def write_notebook(server, name: str, *sources: str) -> None:
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), server.root / name)


def submit(server, name: str, **more: Any) -> dict[str, Any]:
    status, task = server.json("POST", "tasks", body={"spec": {"notebook": name}, **more})
    assert status == 201, task
    return task


def ended(server, task: dict[str, Any]) -> dict[str, Any]:
    return server.wait(
        "the task's end",
        lambda: server.json("GET", f"tasks/{task['id']}")[1],
        lambda one: one["state"] in FINAL,
    )


def test_a_notebook_that_fails_once_succeeds_by_itself_and_tells_of_it(
    server, receiver: Receiver
) -> None:
    """The whole promise: nobody has to get up at night for a passing fault."""
    write_notebook(
        server,
        "flaky.ipynb",
        "from pathlib import Path\nmark = Path('mark')\nis_first = not mark.exists()\nmark.touch()",
        "assert not is_first, 'the first time'",
    )
    policy = {"max_retries": 2, "retry_delay_seconds": 0.1, "retry_on": ["failed"]}

    task = ended(server, submit(server, "flaky.ipynb", policy=policy, on_success=[receiver.url]))

    assert (task["state"], task["attempt"], task["error"]) == ("success", 2, None)
    _, history = server.json("GET", f"tasks/{task['id']}/events")
    retrying = [one for one in history["events"] if one["type"] == "task.retrying"]
    assert [(one["attempt"], one["data"]["outcome"]) for one in retrying] == [(1, "failed")]
    assert retrying[0]["data"]["error"]["message"] == "the first time"

    headers, body = receiver.posts.get(timeout=PATIENCE_SECONDS)
    expected = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    assert headers["X-Opspawn-Signature"] == f"sha256={expected}"
    told = json.loads(body)
    assert told["event"]["type"] == "task.succeeded"
    assert told["task"]["id"] == task["id"]
    assert "?for=test" not in server.jupyter.log


def test_a_task_without_success_is_a_dead_letter_until_it_is_tried_again(
    server, receiver: Receiver
) -> None:
    """What the retries did not help is found, mended and tried again by hand."""
    write_notebook(server, "mended.ipynb", "from pathlib import Path\nPath('there').read_text()")
    policy = {"max_retries": 1, "retry_delay_seconds": 0}

    task = ended(server, submit(server, "mended.ipynb", policy=policy, on_failure=[receiver.url]))

    assert (task["state"], task["attempt"]) == ("failed", 2)
    assert (
        json.loads(receiver.posts.get(timeout=PATIENCE_SECONDS)[1])["event"]["type"]
        == "task.failed"
    )
    _, dead = server.json("GET", "tasks?dead=true")
    assert [one["id"] for one in dead["tasks"]] == [task["id"]]

    (server.root / "there").touch()
    (server.root / "mended.ipynb").unlink()
    status, again = server.json("POST", f"tasks/{task['id']}/retry")
    assert (status, again["retry_of"]) == (201, task["id"])
    assert ended(server, again)["state"] == "success"
    assert server.json("GET", "tasks?dead=true")[1]["tasks"] == []
    status, refusal = server.json("POST", f"tasks/{again['id']}/retry")
    assert (status, refusal["code"]) == (409, "illegal_transition")


def test_higher_priority_starts_first_and_one_at_a_time(server) -> None:
    """One slot, three tasks that wait for it."""
    write_notebook(
        server, "gate.ipynb", "import time\nfrom pathlib import Path\n"
        "while not Path('open').exists():\n    time.sleep(0.05)",
    )  # fmt: skip
    write_notebook(server, "quick.ipynb", "1")
    gate = submit(server, "gate.ipynb", policy={"priority": 9})
    server.wait(
        "the gate's start",
        lambda: server.json("GET", f"tasks/{gate['id']}")[1],
        lambda one: one["state"] == "running",
    )
    tasks = {
        priority: submit(server, "quick.ipynb", policy={"priority": priority})
        for priority in (-1, 0, 5)
    }

    (server.root / "open").touch()

    ends = {priority: ended(server, task) for priority, task in tasks.items()}
    order = sorted(ends, key=lambda priority: ends[priority]["started_at"])
    assert order == [5, 0, -1]
    assert ended(server, gate)["finished_at"] <= ends[5]["started_at"]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"policy": {"max_retries": -1}}, "max_retries"),
        ({"policy": {"retry_on": ["success"]}}, "retry_on"),
        ({"policy": {"retry_on": ["sometimes"]}}, "retry_on"),
        ({"policy": {"not_before": "2030-01-01T00:00:00"}}, "UTC offset"),
        ({"policy": {"prioritee": 1}}, "prioritee"),
        ({"on_success": ["somebody"]}, "notifiers"),
        ({"on_failure": ["https://ada:pw@host/"]}, "user name"),
    ],
)
def test_bad_policies_are_refused_with_a_sentence(server, more: dict[str, Any], said: str) -> None:
    """The caller must see what to change."""
    write_notebook(server, "quick.ipynb", "1")

    status, refusal = server.json(
        "POST", "tasks", body={"spec": {"notebook": "quick.ipynb"}, **more}
    )

    assert (status, refusal["code"]) == (422, "invalid_request")
    assert said in refusal["message"]
