"""Tool servers that others wrote, from PyPI and npm, through the broker, over standard streams and
over HTTP; and a client that others wrote, through our endpoint."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from jupyter_process import PATIENCE_SECONDS, free_port
from opspawn_jupyter.model.tool import ServerState, ToolResult
from tests.integration.broker_stage import ME, Stage, play
from tests.integration.conftest import Running, Server

#: Where ``.ci/run`` installs them, each registry's in a directory of its own.
PLACE = Path(os.environ.get("OPSPAWN_TOOL_SERVERS", Path(__file__).parents[2] / ".mcp"))
PYTHON, NODE = PLACE / "python" / "bin", PLACE / "node" / "node_modules" / ".bin"
#: It was written for the SDK's first version, so it has an environment of its own.
SQLITE = PLACE / "python-sqlite" / "bin" / "mcp-server-sqlite"
NODE_PATH = f"{NODE}{os.pathsep}{os.environ['PATH']}"

pytestmark = [
    pytest.mark.usefixtures("jupyter_home"),
    pytest.mark.skipif(
        not (PYTHON.is_dir() and NODE.is_dir() and SQLITE.is_file()),
        reason="needs the third-party tool servers that .ci/run installs",
    ),
]


def _npm(name: str, *arguments: str) -> dict[str, Any]:
    """One of npm's, with the node that was installed beside it."""
    return {"command": str(NODE / name), "args": list(arguments), "env": {"PATH": NODE_PATH}}


@contextmanager
def _everything_over_http() -> Iterator[str]:
    """npm's server-everything, listening. Its address."""
    port = free_port()
    process = subprocess.Popen(
        [str(NODE / "mcp-server-everything"), "streamableHttp"],
        env={**os.environ, "PATH": NODE_PATH, "PORT": str(port)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr
        assert any("listening" in line for line in process.stderr), "it ended instead"
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        process.kill()
        process.communicate()


def test_a_server_over_http_is_listed_and_called(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        result = await stage.call("everything.echo", message="over HTTP")
        assert "over HTTP" in result.text
        assert (await stage.broker.resources(ME, "everything")).resources
        prompts = (await stage.broker.prompts(ME, "everything")).prompts
        simple = next(one.name for one in prompts if not one.arguments)
        assert (await stage.broker.prompt(ME, "everything", simple, {})).messages
        (state,) = (await stage.broker.servers(ME)).servers
        assert (state.transport, state.state) == ("http", ServerState.READY)

    with _everything_over_http() as url:
        play(tmp_path, {"everything": {"url": url}}, story)


def test_a_server_of_the_first_sdk_keeps_a_database(tmp_path: Path) -> None:
    database = {"command": str(SQLITE), "args": ["--db-path", str(tmp_path / "a.db")]}

    async def story(stage: Stage) -> None:
        await stage.call("sqlite.create_table", query="CREATE TABLE t (n INTEGER)")
        await stage.call("sqlite.write_query", query="INSERT INTO t VALUES (41), (42)")
        assert "42" in (await stage.call("sqlite.read_query", query="SELECT max(n) FROM t")).text
        assert (await stage.broker.resources(ME, "sqlite")).resources

    play(tmp_path, {"sqlite": database}, story)


@pytest.fixture(scope="module")
def server(running: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    root, home = tmp_path_factory.mktemp("root"), tmp_path_factory.mktemp("home")
    own = {"everything": _npm("mcp-server-everything")}
    with running(root, home, f"--OpspawnExtension.mcp_servers={own!r}") as one:
        one.await_tools()
        yield one


@pytest.mark.parametrize("era", ["modern", "legacy"])
def test_the_inspector_of_mcp_lists_and_calls(server: Server, era: str) -> None:
    """MCP's own inspector, in TypeScript: a client that shares no code with ours."""

    def inspect(method: str, *more: str) -> Any:
        run = subprocess.run(
            [
                *(str(NODE / "mcp-inspector"), "--cli", f"{server.jupyter.url}opspawn/mcp"),
                *("--transport", "http", "--protocol-era", era),
                *("--header", f"Authorization: Bearer {server.jupyter.token}"),
                *("--method", method, *more),
            ],
            env={**os.environ, "PATH": NODE_PATH},
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        assert run.returncode == 0, run.stdout + run.stderr
        return json.loads(run.stdout)

    names = {tool["name"] for tool in inspect("tools/list")["tools"]}
    assert {"everything__echo", "run_notebook", "create_schedule"} <= names
    argument = ("--tool-arg", "message=hello")
    called = inspect("tools/call", "--tool-name", "everything__echo", *argument)
    assert "hello" in called["content"][0]["text"]
    tasks = inspect("tools/call", "--tool-name", "list_tasks")
    assert tasks["structuredContent"] == {"tasks": []}


def test_servers_of_both_eras_are_listed_and_called_side_by_side(tmp_path: Path) -> None:
    """PyPI's speak 2026-07-28, npm's the handshake era."""
    (tmp_path / "note.txt").write_text("a note")
    servers = {
        "time": {"command": str(PYTHON / "mcp-server-time"), "args": ["--local-timezone=UTC"]},
        "git": {"command": str(PYTHON / "mcp-server-git")},
        "files": _npm("mcp-server-filesystem", str(tmp_path)),
        "memory": {
            **_npm("mcp-server-memory"),
            "env": {"PATH": NODE_PATH, "MEMORY_FILE_PATH": str(tmp_path / "memory.json")},
        },
        "everything": _npm("mcp-server-everything"),
    }

    async def story(stage: Stage) -> None:
        assert not (await stage.tools()).problems
        states = (await stage.broker.servers(ME)).servers
        assert {one.state for one in states} == {ServerState.READY}
        eras = {one.name: one.protocol_version for one in states}
        assert (eras["time"], eras["files"]) == ("2026-07-28", "2025-11-25")
        await _call_each(stage, tmp_path)

    play(tmp_path, servers, story)


async def _call_each(stage: Stage, place: Path) -> None:
    converted = await stage.call(
        "time.convert_time", source_timezone="UTC", target_timezone="Asia/Tokyo", time="12:00"
    )
    assert "21:00" in str(converted.value)
    read = await stage.call("files.read_text_file", path=str(place / "note.txt"))
    assert "a note" in read.text
    outside = await stage.call("files.read_text_file", path="/etc/hostname")
    assert outside.is_error
    entity = {"name": "Ada", "entityType": "person", "observations": ["wrote the first program"]}
    await stage.call("memory.create_entities", entities=[entity])
    found: ToolResult = await stage.call("memory.search_nodes", query="program")
    assert "Ada" in found.text
    assert "hello" in (await stage.call("everything.echo", message="hello")).text
    assert (await stage.broker.resources(ME, "everything")).resources
    assert (await stage.broker.prompts(ME, "everything")).prompts
    nowhere = await stage.call("git.git_status", repo_path=str(place))
    assert nowhere.is_error
