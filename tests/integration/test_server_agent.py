"""Agents through a real server: every door, and what is done with a run that has ended."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest

from jupyter_process import PATIENCE_SECONDS
from opspawn_jupyter import connect
from tests.integration.broker_stage import habit
from tests.integration.conftest import Running, Server, files_below
from tests.integration.openai_server import OpenAIServer, openai_server
from tests.integration.provider_servers import anthropic, provider_server

KEY = "sk-never-to-be-seen-0123456789"
SCRIPT = """
- call: update_plan
  with: {steps: [add, answer], done: 0}
- call: run_python
  with: {code: "import os; xs = [1, 2, 3]; print([k for k in os.environ if 'KEY' in k.upper()])"}
- call: run_python
  with: {code: "sum(xs)"}
- say: It is 6.
- say: Twice that is 12.
"""
AGENT = """
model: scripted:script.yaml
limits: {max_tool_calls: 2}
"""
FLOW = """
parameters: {what: numbers}
tasks:
  - id: think
    kind: agent
    config: {goal: "Add the ${{ parameters.what }}.", model: "scripted:sum.yaml"}
  - id: say
    cell: print(answer)
    with: {answer: "${{ tasks.think.outputs.answer }}"}
outputs: {answer: "${{ tasks.think.outputs.answer }}"}
"""


@pytest.fixture(scope="module")
def provider() -> Iterator[OpenAIServer]:
    with openai_server([]) as one:
        yield one


@pytest.fixture(scope="module")
def server(running: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a key of a provider among its secrets."""
    root = tmp_path_factory.mktemp("root")
    (root / "script.yaml").write_text(SCRIPT)
    (root / "agent.yaml").write_text(AGENT)
    servers = {
        "good": habit("none", timeout_seconds=20, max_result_bytes=16 << 20),
        "slow": habit("none", timeout_seconds=1),
    }
    own = f"--OpspawnExtension.mcp_servers={servers!r}"
    (root / ".opspawn").mkdir(mode=0o700)
    secrets = root / ".opspawn" / "secrets.json"
    secrets.touch(0o600)
    secrets.write_text(json.dumps({"AGENT_TEST_KEY": KEY}))
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("OTEL_TRACES_EXPORTER", "file")
        with running(root, tmp_path_factory.mktemp("home"), own) as one:
            one.await_tools()
            yield one


def submit(server: Server, **spec: Any) -> dict[str, Any]:
    body = {"kind": "agent", "spec": {"goal": "Add the numbers.", **spec}}
    status, task = server.json("POST", "tasks", body=body)
    assert status == 201, task
    return dict(task)


def ended(server: Server, task: dict[str, Any], *states: str) -> dict[str, Any]:
    wanted = states or ("success", "failed", "timed_out", "crashed", "cancelled")
    return server.wait(
        "the end of a run",
        lambda: server.json("GET", f"tasks/{task['id']}")[1],
        lambda now: now["state"] in wanted,
    )


def again(server: Server, task: dict[str, Any], **request: Any) -> dict[str, Any]:
    status, new = server.json("POST", f"tasks/{task['id']}/resume", body=request)
    assert status == 201, new
    return ended(server, new)


def cells(server: Server, task: dict[str, Any]) -> dict[str, Any]:
    path = server.root / task["run_directory"] / "output.ipynb"
    return {cell.id: cell for cell in nbformat.read(path, as_version=4).cells}


def test_the_key_is_nowhere_but_in_the_run(server: Server, provider: OpenAIServer) -> None:
    """Every byte that the run leaves is searched, of its directory and of the server's state; the
    provider even sends the key back, in a text and in a call."""
    code = f"import os\nprint(sorted(k for k in os.environ if 'KEY' in k.upper()))\n# {KEY}"
    provider.script = [[("run_python", {"code": code})], f"Your key is {KEY}."]
    options = {"base_url": provider.url, "api_key_env": "AGENT_TEST_KEY", "max_retries": 0}
    task = submit(server, model="openai:fake", model_options=options)

    assert ended(server, task)["state"] == "success"
    assert provider.keys[-1] == f"Bearer {KEY}"
    assert cells(server, task)["call_1_0"].outputs[0].text == "[]\n"
    found = {}
    for path, content in files_below(server.root):
        found[path.name] = found.get(path.name, False) or KEY.encode() in content
    assert found.pop("secrets.json")
    assert found.keys() >= {"output.ipynb", "tape.jsonl", "run.log", "events.jsonl", "task.json"}
    assert [name for name, holds_it in found.items() if holds_it] == []
    spans = _spans(server, task)
    assert [name for name, _ in spans] == [
        "chat fake", "execute_tool run_python", "chat fake", "invoke_agent opspawn",
    ]  # fmt: skip
    chat = spans[0][1]
    assert chat["gen_ai.operation.name"] == "chat"
    assert (chat["gen_ai.usage.input_tokens"], chat["gen_ai.conversation.id"]) == (
        "100",
        task["id"],
    )


def test_another_providers_protocol_goes_the_whole_way(server: Server) -> None:
    """From the command to the cell, with a model that speaks its provider's own protocol."""
    script = [[("run_python", {"code": "20 + 22"})], "It is 42."]
    with provider_server(anthropic, script) as provider:
        options = {"base_url": provider.url, "api_key_env": "AGENT_TEST_KEY"}
        task = submit(server, model="anthropic:claude-test", model_options=options)
        done = ended(server, task)

    assert (done["state"], done["outputs"]) == ("success", {"answer": "It is 42."}), done["error"]
    assert set(provider.paths) == {"/v1/messages"}
    assert cells(server, done)["toolu_0"].outputs[0].data["text/plain"] == "42"


def test_a_run_goes_on_with_a_larger_budget_and_another_way(server: Server) -> None:
    """What was paid for is kept: resumed, branched, replayed, run again and reproduced, the run
    costs nothing that it did not cost before."""
    failed = ended(server, submit(server, agent="agent.yaml"))
    assert failed["error"]["name"] == "budget_exceeded"

    resumed = again(server, failed, limits={"max_tool_calls": 10})
    assert (resumed["state"], resumed["outputs"]) == ("success", {"answer": "It is 6."})

    replayed = again(server, resumed, mode="replay")
    assert [event["type"] for event in _events(server, replayed)].count("kernel.started") == 0
    assert cells(server, replayed)["call-3-1"].outputs[0].data["text/plain"] == "6"

    reproduced = again(server, resumed, mode="reproduce")
    assert (reproduced["outputs"]["reproducible"], reproduced["state"]) == (True, "success")
    assert again(server, resumed, mode="rerun")["state"] == "success"

    branched = again(server, resumed, cell="call-2-1", code="xs = [10, 20]")
    assert cells(server, branched)["call-3-1"].outputs[0].data["text/plain"] == "30"

    told = again(server, resumed, remark="And twice that?")
    assert told["outputs"] == {"answer": "Twice that is 12."}
    assert cells(server, told)["remark-4"].source == "> And twice that?"


def test_every_door_gives_an_agent(server: Server) -> None:
    """The shell and Python do what REST does."""
    line = ["agent", "Add them.", "--model", "scripted:script.yaml", "--max-steps", "9", "--json"]
    done = _opspawn(server, *line)
    assert done.returncode == 0, done.stderr
    task = json.loads(done.stdout)
    assert (task["kind"], task["outputs"]) == ("agent", {"answer": "It is 6."})
    verified = _opspawn(server, "agent", "verify", task["id"], "--json")
    assert json.loads(verified.stdout)["labels"] == {"reproduce-of": task["id"]}
    given = _opspawn(server, "agent", "Add.", "--agent", "agent.yaml", "--max-tool-calls", "9")
    assert given.returncode == 0, given.stderr
    with connect(server.jupyter.url, server.jupyter.token) as client:
        handle = client.agent("Add.", agent="agent.yaml", limits={"max_tool_calls": 9})
        assert handle.result(PATIENCE_SECONDS) == {"answer": "It is 6."}
        client.remember("doors", "It is 6.")
    assert "It is 6." in _opspawn(server, "notes", "doors", "six", "6").stdout


def test_an_agent_runs_when_it_is_due(server: Server) -> None:
    """What a schedule starts is the agent that a person would have submitted."""
    spec = json.dumps({"goal": "Add.", "agent": "agent.yaml", "limits": {"max_tool_calls": 9}})
    line = ["schedule", "add", "--kind", "agent", "--spec", spec, "--name", "sums"]
    made = _opspawn(server, *line, "--cron", "0 6 * * *", "--tz", "UTC")
    assert made.returncode == 0, made.stderr
    status, task = server.json("POST", "schedules/sums/trigger")
    assert (status, task["kind"]) == (201, "agent")
    assert ended(server, task)["outputs"] == {"answer": "It is 6."}


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({}, "an agent needs a model: PROVIDER:NAME or scripted:FILE"),
        ({"model": "gpt"}, "PROVIDER:NAME"),
        ({"model": "martian:one"}, "no such provider"),
        ({"model": "scripted:none.yaml"}, "no such file"),
        ({"model": "scripted:../../etc/passwd"}, "outside"),
        ({"model": "scripted:script.yaml", "planner": "magic"}, "no such planner"),
        ({"model": "scripted:script.yaml", "tools": ["tools.py:none"]}, "no such file"),
        ({"model": "scripted:script.yaml", "tools": ["time."]}, "tools are named"),
        ({"model": "scripted:script.yaml", "limits": {"max_steps": 0}}, "above 0"),
        ({"model": "scripted:script.yaml", "output_schema": {"type": 7}}, "JSON Schema"),
        ({"model": "scripted:script.yaml", "goal": " "}, "goal"),
        ({"model": "scripted:script.yaml", "permissions": {"x": "maybe"}}, "permissions"),
    ],
)
def test_bad_agents_are_refused_in_a_sentence(
    server: Server, spec: dict[str, Any], said: str
) -> None:
    """Nothing is stored of what cannot run."""
    body = {"kind": "agent", "spec": {"goal": "x", **spec}}
    status, answer = server.json("POST", "tasks", body=body)

    assert status in (404, 422)
    assert said in answer["message"]


def test_a_tool_of_an_mcp_server_is_a_cell(server: Server) -> None:
    """The agent calls through the kernel's key to the broker; a replay calls nothing."""
    (server.root / "echo.yaml").write_text(
        "- {call: good__echo, with: {text: hello}}\n- say: It answers.\n"
    )
    done = ended(server, submit(server, model="scripted:echo.yaml", tools=["good"]))
    assert done["state"] == "success", done["error"]
    cell = cells(server, done)["call-1-1"]
    assert cell.source == "mcp.good.echo(text='hello')"
    assert "hello" in cell.outputs[0].data["text/plain"]
    again(server, done, mode="reproduce")
    status, calls = server.json("POST", "sql", body={"query": "SELECT count(*) FROM tool_calls"})
    assert (status, calls["rows"]) == (200, [[1]])


def test_a_tool_that_hangs_or_says_too_much_is_cut(server: Server) -> None:
    """One tool server must not hold a run, nor fill the model's context."""
    (server.root / "odd.yaml").write_text(
        "- {call: slow__sleep, with: {text: '600'}}\n"
        "- {call: good__large, with: {text: '5000000'}}\n"
        "- {say: Done.}\n"
    )
    done = ended(server, submit(server, model="scripted:odd.yaml", tools=["slow", "good"]))
    assert done["state"] == "success", done["error"]
    shown = cells(server, done)
    assert "raises-exception" in shown["call-1-1"].metadata.tags
    tape = (server.root / done["run_directory"] / "tape.jsonl").read_text().splitlines()
    calls = [unit["result"] for unit in map(json.loads, tape) if unit["kind"] == "call"]
    assert "did not answer in time" in calls[0]["text"]
    assert len(calls[1]["text"]) < 20_000
    assert "characters left out here" in calls[1]["text"]


def test_an_agent_is_a_step_of_a_workflow(server: Server) -> None:
    """Its files lie beside the workflow's; its goal holds values, and its answer is one."""
    place = server.root / "flows"
    place.mkdir()
    (place / "sum.yaml").write_text(SCRIPT)
    (place / "flow.yaml").write_text(FLOW)
    body = {"kind": "workflow", "spec": {"path": "flows/flow.yaml"}}
    status, task = server.json("POST", "tasks", body=body)
    assert status == 201, task
    done = ended(server, task)
    children = server.json("GET", f"tasks?parent={task['id']}")[1]["tasks"]

    assert (done["state"], done["outputs"]) == ("success", {"answer": "It is 6."}), done["error"]
    assert {one["step"]: one["kind"] for one in children} == {"think": "agent", "say": "notebook"}


def test_cancelling_does_not_wait_for_a_model(server: Server) -> None:
    """A model may take minutes; a person does not want to."""
    (server.root / "slow.yaml").write_text("[{say: done, wait: 600}]")
    task = submit(server, model="scripted:slow.yaml")
    ended(server, task, "running")
    server.json("POST", f"tasks/{task['id']}/cancel")

    assert ended(server, task)["state"] == "cancelled"


def test_an_answer_lets_a_waiting_run_go_on(server: Server) -> None:
    """The question is the server's, so anybody with access can answer it, from anywhere."""
    line = ["agent", "Add them.", "--model", "scripted:script.yaml", "--approve-code"]
    task = json.loads(_opspawn(server, *line, "--detach", "--json").stdout)
    for _ in range(2):
        waiting = ended(server, task, "waiting")
        status, _answer = server.json(
            "POST", f"questions/{waiting['question']}/answer", body={"answer": "yes"}
        )
        assert status == 200
        server.wait(
            "the answer to be taken",
            lambda: server.json("GET", f"tasks/{task['id']}")[1],
            lambda now, before=waiting: now["question"] != before["question"],
        )

    assert ended(server, task)["state"] == "success"


def _spans(server: Server, task: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Name and attributes of what the run has traced, in the order of their ends."""
    path = server.root / task["run_directory"] / "traces.jsonl"
    exports = [json.loads(line) for line in path.read_text().splitlines()]
    spans = [
        span
        for export in exports
        for resource in export["resourceSpans"]
        for scope in resource["scopeSpans"]
        for span in scope["spans"]
    ]
    return [
        (
            span["name"],
            {one["key"]: next(iter(one["value"].values())) for one in span["attributes"]},
        )
        for span in spans
    ]


def _events(server: Server, task: dict[str, Any]) -> list[dict[str, Any]]:
    return list(server.json("GET", f"tasks/{task['id']}/events")[1]["events"])


def _opspawn(server: Server, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "opspawn_jupyter.cli", *words],
        env={**os.environ, **server.jupyter.environment},
        cwd=Path(server.root),
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
