"""Tool servers that others wrote, from PyPI and npm, through the broker."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from opspawn_jupyter.model.tool import ServerState, ToolResult
from tests.integration.broker_stage import ME, Stage, play

#: Where ``.ci/run`` installs them, each registry's in a directory of its own.
PLACE = Path(os.environ.get("OPSPAWN_TOOL_SERVERS", Path(__file__).parents[2] / ".mcp"))
PYTHON, NODE = PLACE / "python" / "bin", PLACE / "node" / "node_modules" / ".bin"

pytestmark = [
    pytest.mark.usefixtures("jupyter_home"),
    pytest.mark.skipif(
        not (PYTHON.is_dir() and NODE.is_dir()),
        reason="needs the third-party tool servers that .ci/run installs",
    ),
]


def _npm(name: str, *arguments: str) -> dict[str, Any]:
    """One of npm's, with the node that was installed beside it."""
    path = f"{NODE}{os.pathsep}{os.environ['PATH']}"
    return {"command": str(NODE / name), "args": list(arguments), "env": {"PATH": path}}


def test_servers_of_both_eras_are_listed_and_called_side_by_side(tmp_path: Path) -> None:
    """PyPI's speak 2026-07-28, npm's the handshake era."""
    (tmp_path / "note.txt").write_text("a note")
    servers = {
        "time": {"command": str(PYTHON / "mcp-server-time"), "args": ["--local-timezone=UTC"]},
        "git": {"command": str(PYTHON / "mcp-server-git")},
        "files": _npm("mcp-server-filesystem", str(tmp_path)),
        "memory": {
            **_npm("mcp-server-memory"),
            "env": {
                "PATH": f"{NODE}{os.pathsep}{os.environ['PATH']}",
                "MEMORY_FILE_PATH": str(tmp_path / "memory.json"),
            },
        },
        "everything": _npm("mcp-server-everything"),
    }

    async def story(stage: Stage) -> None:
        listed = await stage.broker.tools(ME)
        while listed.problems:  # a slow machine: they are still starting
            assert all("starting" in problem for problem in listed.problems.values()), listed
            listed = await stage.broker.tools(ME)
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
