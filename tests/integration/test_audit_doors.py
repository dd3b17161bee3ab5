"""What is audited besides a notebook, and what follows an audit, typed in a shell and in a cell.

One server for all of it. A second person comes to it with a token of her own, its history is
anchored in a file, and a receiver on the loopback hears of its runs.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from jupyter_process import PATIENCE_SECONDS, JupyterProcess, jupyter_server, stop
from notebook_session import notebook_session
from opspawn_jupyter.audit.verify import verify
from opspawn_jupyter.model.states import FINAL
from tests.integration.conftest import ENABLED, Server
from tests.integration.test_audits import audit, write_notebook

REVIEWER = "token-of-the-reviewer"
PEOPLE = f"""
from jupyter_server.auth import User
from jupyter_server.auth.identity import PasswordIdentityProvider

class TwoPeople(PasswordIdentityProvider):
    async def get_user_token(self, handler):
        if self.get_token(handler) == {REVIEWER!r}:
            return User(username="rita")
        return await super().get_user_token(handler)

c.ServerApp.identity_provider_class = TwoPeople
"""
FLOW = """
name: two
tasks:
  - id: first
    notebook: {0}/sum.ipynb
  - id: second
    notebook: {0}/sum.ipynb
    depends_on: [first]
"""


class Receiver:
    """An OpenLineage receiver: keeps what it is told."""

    def __init__(self) -> None:
        told = self.told = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:  # the standard library's name
                length = int(self.headers["Content-Length"])
                told.append(json.loads(self.rfile.read(length)))
                self.send_response(201)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Says nothing."""

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/api/v1/lineage"


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    one = Receiver()
    thread = Thread(target=one.http.serve_forever)
    thread.start()
    yield one
    one.http.shutdown()
    thread.join()
    one.http.server_close()


@pytest.fixture(scope="module")
def heads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("elsewhere") / "heads.jsonl"


@pytest.fixture(scope="module")
def server(
    receiver: Receiver, heads: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    root, home = tmp_path_factory.mktemp("root"), tmp_path_factory.mktemp("home")
    config = home / "people.py"
    config.write_text(PEOPLE)
    arguments = [
        ENABLED,
        f"--config={config}",
        f"--OpspawnExtension.openlineage={receiver.url}",
        f"--OpspawnExtension.anchors={heads}",
        "--OpspawnExtension.anchor_seconds=1",
    ]
    with jupyter_server(root, home, arguments=arguments) as jupyter:
        one = Server(jupyter)
        one.health()
        for folder in ("folder", "folder/deeper"):
            write_notebook(root / folder / "sum.ipynb", ("print(6 * 7)", "42\n"))
        yield one


@pytest.fixture(scope="module")
def audited(server: Server) -> dict[str, Any]:
    return audit(server, "folder/sum.ipynb", reason="before the review")


def shell(
    server: Server, *words: str, token: str | None = None
) -> subprocess.CompletedProcess[str]:
    """``opspawn`` with these words, typed in the server's directory; by whom the token says."""
    own = {} if token is None else {"OPSPAWN_TOKEN": token}
    return subprocess.run(
        [sys.executable, "-m", "opspawn_jupyter.cli", *words],
        env=server.jupyter.environment | own,
        cwd=server.root,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )


def cells(jupyter: JupyterProcess, *sources: str) -> list[str]:
    """What each cell of a notebook shows, one after the other."""
    with notebook_session(jupyter, "cells.ipynb") as session:
        loaded = ["%load_ext opspawn_jupyter", *sources]
        shown = [list(session.run(source, lambda: None)) for source in loaded]
    return [json.dumps(outputs) for outputs in shown[1:]]


def finished(server: Server, body: dict[str, Any]) -> dict[str, Any]:
    status, task = server.json("POST", "tasks", body=body)
    assert status == 201, task
    return server.wait(
        "the task's end",
        lambda: server.json("GET", f"tasks/{task['id']}")[1],
        lambda one: one["state"] in FINAL,
    )


def test_every_notebook_of_a_folder_is_audited(server: Server) -> None:
    """Those in folders below it too; the shell waits, and says what each came to."""
    done = shell(server, "audit", "folder", "--fail-under", "REPRODUCED")

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("sum.ipynb") >= 2


def test_a_run_and_a_workflow_are_audited_by_what_they_left(server: Server) -> None:
    """The executed notebooks are what is compared with; of a workflow, each step's."""
    (server.root / "flow.yaml").write_text(FLOW.format("folder"))
    run = finished(server, {"spec": {"notebook": "folder/sum.ipynb"}})
    flow = finished(server, {"kind": "workflow", "spec": {"path": "flow.yaml"}})
    assert (run["state"], flow["state"]) == ("success", "success"), (run, flow)

    done = shell(server, "audit", run["id"], flow["id"], "--fail-under", "REPRODUCED", "--json")

    assert done.returncode == 0, done.stdout + done.stderr
    query = "tasks?kind=audit&limit=20"
    audits = server.json("GET", query)[1]["tasks"]
    named = {one["spec"]["audited_task"] for one in audits} - {None}
    assert len(named) == 3
    assert run["id"] in named


def test_a_reviewer_other_than_the_author_signs(server: Server, audited: dict[str, Any]) -> None:
    """Whoever asked for the audit cannot review it; another user of the server can."""
    path = f"tasks/{audited['id']}/signatures"
    body = {"meaning": "review", "reason": "compared with the plan", "name": "Rita"}

    own, _ = server.json("POST", path, body=body)
    status, given = server.json("POST", path, body=body, token=REVIEWER)

    assert (own, status) == (403, 201)
    assert given["signed_by"] == "rita"


def test_what_follows_an_audit_can_be_typed_in_a_shell(
    server: Server, audited: dict[str, Any], tmp_path: Path
) -> None:
    task, target = audited["id"], tmp_path / "period.zip"

    words = ("sign", task, "--as", "approval", "--reason", "ready", "--name", "Rita")
    signed = shell(server, *words, token=REVIEWER)
    listed = shell(server, "signatures", task)
    told = shell(server, "lineage", task)
    exported = shell(server, "export", "--since", "2020-01-01", "-o", str(target))

    assert "(rita) signed as approval" in signed.stdout, signed.stderr
    assert "Rita" in listed.stdout
    assert "sum.ipynb" in told.stdout, told.stderr
    assert exported.returncode == 0, exported.stderr
    assert verify(target).problem is None


def test_what_follows_an_audit_can_be_typed_in_a_cell(
    server: Server, audited: dict[str, Any]
) -> None:
    task = audited["id"]

    signed, listed, told, exported = cells(
        server.jupyter,
        f"%opspawn sign {task} --as author --reason 'seen in a cell' --name Ada",
        f"%opspawn signatures {task}",
        f"%opspawn lineage {task}",
        "%opspawn export --since 2020-01-01 -o cell.zip",
    )

    assert "signed as author" in signed
    assert "seen in a cell" in listed
    assert "sum.ipynb" in told
    assert verify(server.root / "cell.zip").problem is None, exported


def test_a_receiver_of_openlineage_hears_of_a_run(server: Server, receiver: Receiver) -> None:
    """START and one terminal event over HTTP, while the server goes on."""
    task = finished(server, {"spec": {"notebook": "folder/sum.ipynb"}})
    jobs = server.wait(
        "two events",
        lambda: [one for one in receiver.told if task["id"] in json.dumps(one)],
        lambda told: len(told) >= 2,
    )

    assert [one["eventType"] for one in jobs] == ["START", "COMPLETE"]


def test_heads_that_an_anchor_left_are_in_the_history(
    server: Server, audited: dict[str, Any], heads: Path, tmp_path: Path
) -> None:
    """And one that is not, is found. The server is stopped for it, so this is the last test."""
    size = server.json("GET", "history/head")[1]["tree_size"]
    kept = server.wait(
        "the head's arrival",
        lambda: (
            [json.loads(line) for line in heads.read_text().splitlines()] if heads.exists() else []
        ),
        lambda kept: kept and kept[-1]["tree_size"] >= size,
    )
    forged = tmp_path / "forged.jsonl"
    forged.write_text(json.dumps({**kept[-1], "root_sha256": "0" * 64}) + "\n")
    stop(server.jupyter.process)

    right = shell(server, "verify", "--head", str(heads))
    wrong = shell(server, "verify", "--head", str(forged))

    assert right.returncode == 0, right.stdout + right.stderr
    assert (wrong.returncode, "✗" in wrong.stdout) == (1, True), wrong.stdout + wrong.stderr
