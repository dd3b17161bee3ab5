"""Logins to tool servers through the real doors: REST, shell, a browser that comes back, a task."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import pytest

from jupyter_process import PATIENCE_SECONDS, jupyter_server
from tests.integration.conftest import ENABLED, Server, files_below, notebook_of
from tests.integration.tool_servers.guarded import Guarded, guarded


@pytest.fixture(scope="module", name="door")
def _door() -> Iterator[Guarded]:
    with guarded() as door:
        yield door


@pytest.fixture(scope="module")
def server(door: Guarded, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server below a path, as behind a hub or a proxy."""
    own = f"--OpspawnExtension.mcp_servers={ {'guarded': {'url': door.url}}!r}"
    root, home = tmp_path_factory.mktemp("root"), tmp_path_factory.mktemp("home")
    with jupyter_server(root, home, arguments=[ENABLED, own], base_url="/deep/") as jupyter:
        one = Server(jupyter)
        one.health()
        yield one


def _call(server: Server) -> tuple[int, Any]:
    return server.json("POST", "mcp/call", body={"server": "guarded", "tool": "who"})


def _shell(server: Server, *words: str) -> str:
    run = server.shell(*words)
    return run.stdout + run.stderr


def _log_out(server: Server) -> None:
    """As if nobody had ever logged in, with nothing asked any more."""
    assert "logged out" in _shell(server, "tools", "guarded", "--logout")
    _await_no_question(server)


def _await_no_question(server: Server) -> None:
    server.wait(
        "no question",
        lambda: server.json("GET", "questions")[1]["questions"],
        lambda questions: not questions,
    )


def _question(server: Server) -> dict[str, Any]:
    """The open question, once there is one."""
    listed = server.wait(
        "a question",
        lambda: server.json("GET", "questions")[1]["questions"],
        lambda questions: questions,
    )
    return listed[0]


def _get(url: str, **headers: str) -> tuple[int, str, str]:
    """Status, where it leads, and text, of one request that follows nothing."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(
        parts.hostname or "", parts.port, timeout=PATIENCE_SECONDS
    )
    try:
        connection.request("GET", f"{parts.path}?{parts.query}", headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.headers.get("Location", ""), answer.read().decode()
    finally:
        connection.close()


def _come_back(server: Server, url: str) -> tuple[int, str]:
    """As a browser does: log in there, and follow to our own page, which alone sees our token."""
    _, back, _ = _get(url)
    status, _, page = _get(back, Authorization=f"token {server.jupyter.token}")
    return status, page


def test_a_call_becomes_a_question_and_goes_on_with_the_login(
    server: Server, door: Guarded
) -> None:
    _log_out(server)
    with ThreadPoolExecutor() as pool:
        calling = pool.submit(_call, server)
        question = _question(server)
        url = question["detail"]["log_in_at"]
        assert question["text"] == f"guarded wants you to log in: {url}"
        assert url in _shell(server, "questions")
        assert "login needed" in _shell(server, "tools", "--servers")
        status, page = _come_back(server, url)
        assert (status, "You are logged in to guarded" in page) == (200, True)
        status, result = calling.result()
    assert (status, result["is_error"]) == (200, False)
    _await_no_question(server)
    assert server.json("GET", f"questions/{question['id']}")[1]["answer"] == "logged in"
    assert "guarded.who" in _shell(server, "tools", "guarded")


def test_only_the_browser_of_whoever_began_it_counts(server: Server) -> None:
    """Strangers are sent to Jupyter's own login, and what is made up is no login."""
    _log_out(server)
    said = _shell(server, "tools", "guarded", "--login")
    url = said.split("log in: ")[1].strip()
    _, back, _ = _get(url)
    assert back.startswith(f"{server.jupyter.url}opspawn/login?")
    status, where, _ = _get(back)
    assert (status, urlsplit(where).path) == (302, "/deep/login")
    made_up = f"{server.jupyter.url}opspawn/login?code=a&state=b"
    status, _, page = _get(made_up, Authorization=f"token {server.jupyter.token}")
    assert (status, "never begun" in page) == (404, True)
    assert "<" not in _come_back(server, url)[1].partition("<p>")[2].partition("</p>")[0]
    again, _, page = _get(back, Authorization=f"token {server.jupyter.token}")
    assert (again, "does not count" in page) == (404, True)


def test_a_login_that_is_refused_is_one_clear_error(server: Server) -> None:
    _log_out(server)
    with ThreadPoolExecutor() as pool:
        calling = pool.submit(_call, server)
        question = _question(server)
        assert "answer one of no" in _shell(server, "answer", question["id"], "yes")
        _shell(server, "answer", question["id"], "no")
        status, problem = calling.result()
    assert (status, problem["code"]) == (409, "tool_login_needed")
    assert "the answer was no" in problem["message"]
    assert "opspawn tools SERVER --login" in problem["message"]


def test_a_task_waits_for_the_login(server: Server, door: Guarded) -> None:
    """And afterwards no secret lies in the log, the history, or what the run left."""
    _log_out(server)
    source = "from opspawn_jupyter import mcp\nprint('I am', mcp.guarded.who())"
    content = notebook_of(source)
    status, task = server.json("POST", "tasks", body={"spec": {"content": content}})
    assert status == 201, task
    question = _question(server)
    assert question["task_id"] == task["id"]
    assert _come_back(server, question["detail"]["log_in_at"])[0] == 200
    done = server.jupyter.await_task(task["id"])
    assert done["state"] == "success", done
    _assert_nothing_is_told(server, door)


def _assert_nothing_is_told(server: Server, door: Guarded) -> None:
    assert door.secrets
    state = server.root / ".opspawn"
    assert (state / "mcp_logins.json").stat().st_mode & 0o777 == 0o600
    files = files_below(server.root)
    told = [path.name for path, content in files if _holds_any(content, door.secrets)]
    assert told == ["mcp_logins.json"]
    assert not _holds_any(server.jupyter.log.encode(), [*door.secrets, *door.codes])


def _holds_any(content: bytes, secrets: list[str]) -> bool:
    return any(one.encode() in content for one in secrets)
