"""MCP at ``/opspawn/mcp``, spoken to by the SDK's own client in both eras of the protocol."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from importlib import import_module
from importlib.metadata import entry_points
from inspect import iscoroutinefunction, signature
from typing import Any, TypeVar, get_type_hints

import httpx2
import pytest
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client

from jupyter_process import PATIENCE_SECONDS
from tests.integration.broker_stage import habit
from tests.integration.conftest import Running, Server

T = TypeVar("T")

ERAS = ("legacy", "2026-07-28")
TASKS = "io.modelcontextprotocol/tasks"


@pytest.fixture(scope="module")
def server(running: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    own = {"good": habit("none"), "careful": habit("none", deny=["echo"])}
    root, home = tmp_path_factory.mktemp("root"), tmp_path_factory.mktemp("home")
    cell = {"cell_type": "code", "id": "a", "metadata": {}, "outputs": []}
    source = "from opspawn_jupyter import step\nstep.output('answer', 42)"
    notebook = {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {"kernelspec": {"name": "python3", "display_name": "Python"}},
        "cells": [{**cell, "source": source, "execution_count": None}],
    }
    (root / "n.ipynb").write_text(json.dumps(notebook))
    notebook["cells"][0]["source"] = "import time; time.sleep(600)"
    (root / "sleeps.ipynb").write_text(json.dumps(notebook))
    workflow = "name: w\ntasks: [{id: only, notebook: n.ipynb}]\n"
    (root / "w.yaml").write_text(workflow)
    with running(root, home, f"--OpspawnExtension.mcp_servers={own!r}") as one:
        one.await_tools()
        yield one


def _ask(
    server: Server,
    era: str,
    story: Callable[[Client], Awaitable[T]],
    *,
    only: str = "",
    **headers: str,
) -> T:
    """What the story gives, told with a client of that era."""

    @asynccontextmanager
    async def client() -> AsyncIterator[Client]:
        given = {"Authorization": f"Bearer {server.jupyter.token}", **headers}
        url = f"{server.jupyter.url}opspawn/mcp{only}"
        async with (
            httpx2.AsyncClient(headers=given, timeout=PATIENCE_SECONDS) as http,
            Client(streamable_http_client(url, http_client=http), mode=era) as one,
        ):
            yield one

    async def tell() -> T:
        async with client() as one:
            return await story(one)

    return asyncio.run(asyncio.wait_for(tell(), PATIENCE_SECONDS))


@pytest.mark.parametrize("era", ERAS)
def test_tools_of_servers_and_our_own_stand_under_one_address(server: Server, era: str) -> None:
    async def story(client: Client) -> None:
        names = {tool.name for tool in (await client.list_tools()).tools}
        assert {"good__echo", "run_notebook", "task_status", "find_tools"} <= names
        assert "careful__echo" not in names
        result = await client.call_tool("good__echo", {"text": "words"})
        assert [part.text for part in result.content] == ["words"]  # type: ignore[union-attr]
        found = await client.call_tool("find_tools", {"query": "large"})
        named = [tool["name"] for tool in found.structured_content["tools"]]
        assert "good__large" in named
        again = await client.call_tool(
            "call_tool", {"name": "good__pid", "arguments": {"text": ""}}
        )
        assert not again.is_error

    _ask(server, era, story)


@pytest.mark.parametrize("era", ERAS)
def test_what_cannot_be_called_says_so(server: Server, era: str) -> None:
    """An unknown name is a fault of the protocol; all else is for the model to read."""

    async def story(client: Client) -> None:
        for name in ("nothing", "good__nothing", "nowhere__echo"):
            with pytest.raises(MCPError, match="Unknown tool"):
                await client.call_tool(name, {"text": "x"})
        for name, says in (("good__echo", "required"), ("careful__echo", "does not allow")):
            result = await client.call_tool(name, {})
            assert result.is_error
            assert says in result.content[0].text  # type: ignore[union-attr]

    _ask(server, era, story)


def test_one_servers_tools_stand_under_its_own_address(server: Server) -> None:
    async def story(client: Client) -> None:
        names = {tool.name for tool in (await client.list_tools()).tools}
        assert "echo" in names
        assert "run_notebook" not in names
        assert not (await client.call_tool("echo", {"text": "x"})).is_error

    _ask(server, "2026-07-28", story, only="/good")


def test_a_notebook_is_run_looked_at_and_fetched(server: Server) -> None:
    async def story(client: Client) -> None:
        task = (await client.call_tool("run_notebook", {"notebook": "n.ipynb"})).structured_content
        await asyncio.to_thread(server.jupyter.await_task, task["id"])
        status = (await client.call_tool("task_status", {"task": task["id"]})).structured_content
        assert status["state"] == "success"
        result = (await client.call_tool("task_result", {"task": task["id"]})).structured_content
        assert result["outputs"] == {"answer": 42}
        listed = (await client.call_tool("list_tasks", {"limit": 5})).structured_content
        assert task["id"] in {one["id"] for one in listed["tasks"]}
        wrong = await client.call_tool("run_notebook", {"notebook": "none.ipynb"})
        assert wrong.is_error

    _ask(server, "2026-07-28", story)


def test_workflows_schedules_and_audits_are_at_hand(server: Server) -> None:
    """An agent outside plans as a person does."""

    async def story(client: Client) -> None:
        async def ask(verb: str, /, **given: Any) -> Any:
            result = await client.call_tool(verb, given)
            assert not result.is_error, result
            return result.structured_content

        made = await ask("create_schedule", name="daily", notebook="n.ipynb", cron="0 6 * * *")
        assert made["next_due_at"]
        assert (await ask("pause_schedule", schedule="daily"))["state"] == "paused"
        assert (await ask("resume_schedule", schedule="daily"))["state"] == "active"
        started = await ask("start_schedule", schedule="daily")
        run = await ask("run_workflow", path="w.yaml")
        audit = await ask("run_audit", notebook="n.ipynb", reason="for the test")
        for task in (started, run, audit):
            await asyncio.to_thread(server.jupyter.await_task, task["id"])
        listed = (await ask("list_schedules"))["schedules"]
        assert [one["name"] for one in listed] == ["daily"]
        steps = (await ask("workflow_status", task=run["id"]))["steps"]
        assert [(one["id"], one["state"]) for one in steps] == [("only", "success")]
        assert run["id"] in {one["id"] for one in (await ask("list_workflows"))["workflows"]}
        assert (await ask("task_result", task=audit["id"]))["outputs"]["headline"]
        past = await ask("run_audit", task=started["id"])
        await asyncio.to_thread(server.jupyter.await_task, past["id"])
        sleeps = await ask("run_notebook", notebook="sleeps.ipynb")
        await ask("cancel_task", task=sleeps["id"])
        await asyncio.to_thread(server.jupyter.await_task, sleeps["id"])
        fired = (await ask("schedule_history", schedule="daily"))["firings"]
        assert {one["task_id"]: one["cause"] for one in fired}[started["id"]] == "mcp"
        for name in ("create_schedule", "run_audit"):
            assert (await client.call_tool(name, {"name": "x"})).is_error

    _ask(server, "2026-07-28", story)


def test_collectors_of_tools_find_our_verbs_and_call_them(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As ``jupyter_server_mcp`` does: an entry point gives names, each of which is a documented
    coroutine function whose parameters all have types."""
    monkeypatch.setenv("OPSPAWN_URL", server.jupyter.url)
    monkeypatch.setenv("OPSPAWN_TOKEN", server.jupyter.token)
    monkeypatch.chdir(server.jupyter.root)
    (entry,) = entry_points(group="jupyter_server_mcp.tools", name="opspawn")
    verbs = {}
    for spec in entry.load()():
        module, _, name = spec.rpartition(":")
        verb = verbs[name] = getattr(import_module(module), name)
        hints = get_type_hints(verb)
        assert iscoroutinefunction(verb)
        assert verb.__doc__
        assert signature(verb).parameters.keys() < hints.keys()

    async def story() -> None:
        task = await verbs["opspawn_run_notebook"]("n.ipynb")
        await asyncio.to_thread(server.jupyter.await_task, task["id"])
        assert (await verbs["opspawn_task_status"](task["id"]))["state"] == "success"
        assert await verbs["opspawn_task_result"](task["id"]) == {"answer": 42}
        assert isinstance(await verbs["opspawn_task_log"](task["id"]), str)
        tasks = (await verbs["opspawn_list_tasks"]("notebook"))["tasks"]
        assert task["id"] in {one["id"] for one in tasks}
        made = await verbs["opspawn_schedule_notebook"]("weekly", "n.ipynb", "0 6 * * 1")
        assert made["name"] == "weekly"
        listed = (await verbs["opspawn_list_schedules"]())["schedules"]
        assert "weekly" in {one["schedule"]["plan"]["name"] for one in listed}
        for begun in (
            await verbs["opspawn_audit"]("n.ipynb"),
            await verbs["opspawn_run_workflow"]("w.yaml"),
        ):
            await asyncio.to_thread(server.jupyter.await_task, begun["id"])
        sleeps = await verbs["opspawn_run_notebook"]("sleeps.ipynb")
        await verbs["opspawn_cancel_task"](sleeps["id"])
        ended = await asyncio.to_thread(server.jupyter.await_task, sleeps["id"])
        assert ended["state"] == "cancelled"

    asyncio.run(asyncio.wait_for(story(), PATIENCE_SECONDS))


@pytest.mark.parametrize("era", ERAS)
def test_hosts_that_speak_over_standard_streams_get_a_bridge(server: Server, era: str) -> None:
    """``opspawn-mcp`` finds the server as all commands do."""
    code = "import sys; from opspawn_jupyter.cli.mcp_bridge import main; sys.exit(main())"
    bridge = StdioServerParameters(
        command=sys.executable, args=["-c", code], env=server.jupyter.environment
    )

    async def story() -> None:
        async with Client(stdio_client(bridge), mode=era) as client:
            assert "good__echo" in {tool.name for tool in (await client.list_tools()).tools}
            result = await client.call_tool("good__echo", {"text": "over the bridge"})
            assert result.content[0].text == "over the bridge"  # type: ignore[union-attr]
            with pytest.raises(MCPError, match="Unknown tool"):
                await client.call_tool("nothing", {})

    asyncio.run(asyncio.wait_for(story(), PATIENCE_SECONDS))


def _modern(server: Server, method: str, params: dict[str, Any], **more: str) -> dict[str, Any]:
    """One request of the modern era, as bytes on the wire, by a client that knows tasks."""
    capabilities = {"extensions": {TASKS: {}}} if "plain" not in more else {}
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": capabilities,
    }
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": meta}}
    headers = {
        "Authorization": f"Bearer {server.jupyter.token}",
        "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": "2026-07-28",
        "Mcp-Method": method,
        "Mcp-Name": params.get("name", params.get("taskId", "")),
    }
    answer = httpx2.post(
        f"{server.jupyter.url}opspawn/mcp", json=body, headers=headers, timeout=PATIENCE_SECONDS
    )
    text = answer.text
    if text.startswith(("event:", "data:")):
        text = next(line[5:] for line in text.splitlines() if line.startswith("data:"))
    said: dict[str, Any] = json.loads(text)
    return said


def test_a_client_that_knows_tasks_gets_one_and_follows_it(server: Server) -> None:
    """The official Tasks extension, as SEP-2663 has it."""
    call = {"name": "run_notebook", "arguments": {"notebook": "n.ipynb"}}
    begun = _modern(server, "tools/call", call)["result"]
    assert (begun["resultType"], begun["status"]) == ("task", "working")
    server.jupyter.await_task(begun["taskId"])
    ended = _modern(server, "tasks/get", {"taskId": begun["taskId"]})["result"]
    assert ended["status"] == "completed"
    assert ended["result"]["structuredContent"]["outputs"] == {"answer": 42}
    unknown = _modern(server, "tasks/get", {"taskId": "00000000-0000-7000-8000-000000000000"})
    assert unknown["error"]["code"] == -32602
    assert "result" in _modern(server, "tasks/cancel", {"taskId": begun["taskId"]})


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": "Bearer wrong"}, 401),
        ({"Authorization": "Bearer ost_wrong"}, 401),
        ({"Authorization": "TOKEN", "Origin": "http://evil.example"}, 403),
        ({"Authorization": "TOKEN", "Host": "evil.example"}, 401),
        ({"Authorization": "TOKEN", "mcp-session-id": "made-up"}, 404),
    ],
)
def test_strangers_and_pages_of_other_sites_are_refused(
    server: Server, headers: dict[str, str], status: int
) -> None:
    given = {
        name: value.replace("TOKEN", f"Bearer {server.jupyter.token}")
        for name, value in headers.items()
    }
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    accept = {"Accept": "application/json, text/event-stream"}
    answer = httpx2.post(
        f"{server.jupyter.url}opspawn/mcp",
        json=body,
        headers={**accept, **given},
        timeout=PATIENCE_SECONDS,
    )
    assert answer.status_code == status, answer.text
    if status == 401:
        assert answer.headers["WWW-Authenticate"] == "Bearer"
