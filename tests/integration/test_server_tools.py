"""Tools through the real doors: REST, shell, kernels of tasks, and the history."""

from __future__ import annotations

import base64
import json
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from jupyter_process import PATIENCE_SECONDS, await_none, stop
from opspawn_jupyter.model.ids import new_id
from opspawn_magics.completion import complete
from tests.integration.broker_stage import habit, write_config
from tests.integration.conftest import Running, Server, files_below, notebook_of


@pytest.fixture(scope="module")
def server(running: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    root = tmp_path_factory.mktemp("root")
    write_config(root, {"filed": habit("none"), "other": {"url": "http://127.0.0.1:9/mcp"}})
    own = {
        "good": habit("none"),
        "slow": habit("none", timeout_seconds=0.5),
        "stubborn": habit("stubborn"),
        "careful": habit("none", ask=["echo"]),
        "curious": habit("ask"),
        "quiet": habit("ask", questions=False),
    }
    home = tmp_path_factory.mktemp("home")
    with running(root, home, f"--OpspawnExtension.mcp_servers={own!r}") as one:
        one.await_tools()
        yield one
        stop(one.jupyter.process)
        left = await_none(home)
        assert not left, f"these outlived their server: {left}"


def _call(server: Server, name: str, arguments: dict[str, Any], **more: Any) -> tuple[int, Any]:
    of, tool = name.split(".", 1)
    body = {"server": of, "tool": tool, "arguments": arguments}
    return server.json("POST", "mcp/call", body=body, **more)


def _run(server: Server, source: str, **spec: Any) -> dict[str, Any]:
    """The task of a notebook with one cell, once it has ended."""
    content = notebook_of(source)
    status, task = server.json("POST", "tasks", body={"spec": {"content": content, **spec}})
    assert status == 201, task
    return server.wait(
        "the end of the task",
        lambda: server.json("GET", f"tasks/{task['id']}")[1],
        lambda task: task["finished_at"],
    )


def test_a_call_gives_the_result_and_the_history_has_it(server: Server) -> None:
    status, result = _call(server, "good.echo", {"text": "words"})
    assert (status, result["content"]) == (200, [{"type": "text", "text": "words"}])
    query = "SELECT server, tool, outcome FROM tool_calls WHERE tool = 'echo'"
    status, table = server.json("POST", "sql", body={"query": query})
    assert ["good", "echo", "success"] in table["rows"]


def test_calls_are_counted_and_stand_among_the_events_of_their_run(server: Server) -> None:
    """For Prometheus, and for the page of a run. Names that callers make up are not counted."""
    task = _run(server, "from opspawn_jupyter import mcp\nmcp.good.echo('counted')")
    told = server.json("GET", f"tasks/{task['id']}/events")[1]["events"]
    assert "tool_call.ended" in {event["type"] for event in told}
    _call(server, "made-up.name", {})
    url = f"{server.jupyter.url}metrics?token={server.jupyter.token}"
    with urllib.request.urlopen(url, timeout=PATIENCE_SECONDS) as answer:
        figures = answer.read().decode()
    assert 'opspawn_tool_calls_total{outcome="success",server="good",tool="echo"}' in figures
    assert "made-up" not in figures


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"server": "good", "tool": "echo"}, 422, "tool_arguments_invalid"),
        ({"server": "good", "tool": "none"}, 404, "tool_not_found"),
        ({"server": "none", "tool": "echo"}, 404, "tool_not_found"),
        ({"server": "filed", "tool": "echo", "arguments": {"text": "x"}}, 409, "tool_not_approved"),
        ({"server": "other", "tool": "echo"}, 503, "tool_server_unavailable"),
        ({"server": "slow", "tool": "sleep", "arguments": {"text": "9"}}, 504, "tool_timed_out"),
        ({"server": "good"}, 422, "invalid_request"),
        ({"server": "good", "tool": "echo", "extra": 1}, 422, "invalid_request"),
        (b"{", 422, "invalid_request"),
    ],
)
def test_a_call_that_cannot_be_made_says_why(
    server: Server, body: Any, status: int, code: str
) -> None:
    got, envelope = server.json("POST", "mcp/call", body=body)
    assert (got, envelope["code"]) == (status, code), envelope


@pytest.mark.parametrize("token", [None, "wrong", "ost_x", "ost_" + "0" * 36 + ".1." + "x" * 43])
def test_strangers_are_refused(server: Server, token: str | None) -> None:
    for method, path in (("GET", "mcp/tools"), ("POST", "mcp/call"), ("GET", "mcp/servers")):
        status, envelope = server.json(method, path, body={} if method == "POST" else None,
                                       token=token)  # fmt: skip
        assert (status, envelope["code"]) == (401, "not_authenticated")


def test_a_task_calls_the_tools_that_its_code_names(server: Server) -> None:
    source = (
        "from opspawn_jupyter import mcp, step\n"
        "step.output('said', mcp.good.echo('hello'))\n"
        "step.output('names', dir(mcp))\n"
        "step.output('doc', mcp.good.echo.__doc__)\n"
    )
    task = _run(server, source)
    assert task["state"] == "success", task["error"]
    assert task["spec"]["tools"] == ["good.echo"]
    assert task["outputs"]["said"] == "hello"
    assert task["outputs"]["names"] == ["good"]
    assert "Give back" in task["outputs"]["doc"]
    query = f"SELECT tool FROM tool_calls WHERE task_id = '{task['id']}'"
    assert server.json("POST", "sql", body={"query": query})[1]["rows"] == [["echo"]]


def test_a_tasks_key_opens_nothing_else_and_ends_with_the_task(server: Server) -> None:
    """The cell tries what the key must not open, and tells what it got."""
    source = """
import json, os, urllib.error, urllib.request
from opspawn_jupyter import step
token, url = os.environ["OPSPAWN_TASK_TOKEN"], os.environ["OPSPAWN_TASK_URL"]
def ask(method, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url + path, data=data, method=method,
                                     headers={"Authorization": "token " + token})
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status
    except urllib.error.HTTPError as refusal:
        return refusal.code
api = "opspawn/api/v1/"
def call(tool):
    return ask("POST", api + "mcp/call",
               {"server": "good", "tool": tool, "arguments": {"text": "x"}})
step.output("own", [call("echo"), ask("GET", api + "tasks/" + os.environ["OPSPAWN_TASK_ID"])])
step.output("others", [call("fail"), ask("GET", api + "tasks"), ask("GET", "api/contents"),
    ask("GET", api + "questions"), ask("POST", api + "sql", {"query": "SELECT 1"}),
    ask("POST", api + "tasks", {"spec": {}})])
import base64
step.output("key", base64.b64encode(token.encode()).decode())
"""
    task = _run(server, source, tools=["good.echo"])
    assert task["state"] == "success", task["error"]
    assert task["outputs"]["own"] == [200, 200]
    assert all(status in (401, 403, 404) for status in task["outputs"]["others"]), task["outputs"]
    key = base64.b64decode(task["outputs"]["key"]).decode()
    assert _call(server, "good.echo", {"text": "x"}, token=key)[0] == 401
    run = server.root / task["run_directory"]
    assert not [path for path, content in files_below(run) if key.encode() in content]
    assert key not in server.jupyter.log


def test_a_task_without_tools_is_told_how_to_get_them(server: Server) -> None:
    source = "import opspawn_jupyter\nopspawn_jupyter.mcp.good.echo('x')"
    task = _run(server, source)
    assert task["state"] == "failed"
    assert "--tool" in task["error"]["message"]


def test_the_shell_lists_shows_approves_and_calls(server: Server) -> None:
    listed = server.shell("tools")
    assert "good.echo" in listed.stdout
    assert "filed: run `opspawn tools filed --approve`" in listed.stdout
    assert "good.echo(text: string, times: integer" in server.shell("tools", "good.echo").stdout
    called = server.shell("tool", "good.echo", "-p", "text=12", "-p", "times=3")
    assert (called.returncode, called.stdout.strip()) == (0, "12")
    wrong = server.shell("tool", "good.echo", "-p", "text=12", "-p", "times=three")
    assert wrong.returncode == 2
    assert "integer" in wrong.stderr
    failed = server.shell("tool", "good.fail", "-p", "text=why not")
    assert failed.returncode == 1
    assert "why not" in failed.stderr
    approved = server.shell("tools", "filed", "--approve")
    assert "habits.py" in approved.stdout
    assert server.shell("tool", "filed.echo", "-p", "text=x").stdout.strip() == "x"
    servers = json.loads(server.shell("tools", "--servers", "--json").stdout)["servers"]
    assert {one["name"]: one["state"] for one in servers}["filed"] == "ready"


def _answer_next(server: Server, answer: str) -> dict[str, Any]:
    """Answer the question that comes."""
    (question,) = server.wait(
        "a question",
        lambda: server.json("GET", "questions")[1]["questions"],
        lambda questions: questions,
    )
    body = {"answer": answer}
    assert server.json("POST", f"questions/{question['id']}/answer", body=body)[0] == 200
    return dict(question)


def test_a_tool_marked_ask_waits_for_a_persons_word(server: Server) -> None:
    """Asked by a task's cell, answered here as by anybody."""
    with ThreadPoolExecutor() as threads:
        source = "from opspawn_jupyter import mcp, step\nstep.output('said', mcp.careful.echo('x'))"
        run = threads.submit(_run, server, source)
        question = _answer_next(server, "yes")
        assert run.result()["outputs"] == {"said": "x"}
        assert question["task_id"] == run.result()["id"]
        assert question["detail"] == {"tool": "careful.echo", "arguments": '{"text": "x"}'}
        refused = threads.submit(_call, server, "careful.echo", {"text": "x"})
        _answer_next(server, "no")
        status, envelope = refused.result()
    assert (status, envelope["code"]) == (409, "tool_not_approved")


def test_what_a_server_asks_in_a_call_is_put_to_a_person(server: Server) -> None:
    """MCP's elicitation; where the configuration refuses questions, the server is told so."""
    with ThreadPoolExecutor() as threads:
        call = threads.submit(_call, server, "curious.echo", {"text": "x"})
        question = _answer_next(server, "Ada")
        said = json.loads(call.result()[1]["content"][0]["text"])
    assert "Your name?" in question["text"]
    assert said == {"action": "accept", "content": {"name": "Ada"}}
    refused = _call(server, "quiet.echo", {"text": "x"})[1]["content"][0]["text"]
    assert "not supported" in refused


def test_an_answer_is_for_one_call(server: Server) -> None:
    """With the id of a call, whoever lost the connection finds the answer, once."""
    body = {"server": "careful", "tool": "echo", "arguments": {"text": "x"}, "id": new_id()}
    with ThreadPoolExecutor() as threads:
        call = threads.submit(server.json, "POST", "mcp/call", body=body)
        _answer_next(server, "yes")
        assert call.result()[0] == 200
    assert server.json("POST", "mcp/call", body=body)[0] == 409
    assert server.json("POST", "mcp/call", body={**body, "id": "mine"})[0] == 422


def test_tab_completes_servers_and_tools(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPSPAWN_URL", server.jupyter.url)
    monkeypatch.setenv("OPSPAWN_TOKEN", server.jupyter.token)

    def tab(line: str) -> list[str]:
        return complete(None, SimpleNamespace(line=line, symbol=line.rpartition(" ")[2]))

    assert tab("%opspawn tool go") == ["good."]
    assert "good.echo" in tab("%opspawn tools good.e")
    assert tab("%opspawn tool nothing.") == []
    monkeypatch.setenv("OPSPAWN_TOKEN", "wrong")
    assert tab("%opspawn tool go") == []


def test_a_step_of_kind_mcp_tool_calls_its_tool(server: Server) -> None:
    spec = {"server": "good", "tool": "echo", "arguments": {"text": "from a step"}}
    status, task = server.json("POST", "tasks", body={"kind": "mcp_tool", "spec": spec})
    assert status == 201, task
    done = server.wait(
        "the end of the step",
        lambda: server.json("GET", f"tasks/{task['id']}")[1],
        lambda task: task["finished_at"],
    )
    assert (done["state"], done["outputs"]) == ("success", {"result": "from a step"}), done
    assert done["spec"]["tools"] == ["good.echo"]


def test_a_tool_is_a_step_of_a_workflow(server: Server) -> None:
    """With values from upstream in its arguments, and its result for what follows."""
    said = "${{ tasks.ask.outputs.result }}"
    words = {"text": "${{ parameters.word }} water"}
    call = {"server": "good", "tool": "echo", "arguments": words}
    graph = {
        "parameters": {"word": "deep"},
        "tasks": [
            {"id": "ask", "plugin": "mcp_tool", "config": call},
            {"id": "twice", "cell": "print(said * 2)", "with": {"said": said}},
        ],
        "outputs": {"said": said},
    }
    body = {"kind": "workflow", "spec": {"graph": graph}}
    status, task = server.json("POST", "tasks", body=body)
    assert status == 201, task
    done = server.wait(
        "the end of the workflow",
        lambda: server.json("GET", f"tasks/{task['id']}")[1],
        lambda task: task["finished_at"],
    )
    assert (done["state"], done["outputs"]) == ("success", {"said": "deep water"}), done["error"]
    (asked,) = (
        child
        for child in server.json("GET", f"tasks?parent={task['id']}")[1]["tasks"]
        if child["step"] == "ask"
    )
    query = f"SELECT tool FROM tool_calls WHERE task_id = '{asked['id']}'"
    assert server.json("POST", "sql", body={"query": query})[1]["rows"] == [["echo"]]


def test_a_server_that_will_not_end_is_no_harm(server: Server) -> None:
    """It is called here; the fixture looks for what is left when the Jupyter server has ended."""
    assert _call(server, "stubborn.echo", {"text": "x"})[0] == 200


def test_an_answer_counts_also_after_a_restart(running: Running, tmp_path: Path) -> None:
    """The question is a row, so it outlives the server that asked it, and so does its answer."""
    own = {"careful": habit("none", ask=["echo"])}
    setting = f"--OpspawnExtension.mcp_servers={own!r}"
    body = {"server": "careful", "tool": "echo", "arguments": {"text": "x"}, "id": new_id()}
    root, home = tmp_path / "root", tmp_path / "home"
    root.mkdir()
    with ThreadPoolExecutor() as threads:
        with running(root, home, setting) as first:
            call = threads.submit(first.json, "POST", "mcp/call", body=body)
            first.wait(
                "the question",
                lambda: first.json("GET", "questions")[1]["questions"],
                lambda questions: questions,
            )
        lost = call.exception() or call.result()[0]
        assert lost != 200
    with running(root, home, setting) as second:
        _answer_next(second, "yes")
        status, result = second.json("POST", "mcp/call", body=body)
    assert (status, result["content"][0]["text"]) == (200, "x")
