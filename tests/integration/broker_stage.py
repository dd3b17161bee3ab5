"""A broker over real servers, without a Jupyter server around it."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from jupyter_process import PATIENCE_SECONDS
from opspawn_jupyter.broker.broker import ToolBroker
from opspawn_jupyter.broker.opening import open_broker
from opspawn_jupyter.model.tool import (
    Principal,
    ToolCall,
    ToolCallRequest,
    ToolList,
    ToolResult,
)
from opspawn_jupyter.settings import Settings

T = TypeVar("T")

ME = Principal(user="me")
HABITS = Path(__file__).parent / "tool_servers" / "habits.py"


def habit(name: str, *more: str, **rules: Any) -> dict[str, Any]:
    """Configuration of a server with this habit."""
    return {"command": sys.executable, "args": [str(HABITS), name, *more], "opspawn": rules}


class Calls:
    """See ``broker.ports.CallLog``: in memory."""

    def __init__(self) -> None:
        self.calls: list[ToolCall] = []

    async def record(self, call: ToolCall) -> None:
        self.calls.append(call)

    async def is_known(self, call_id: str) -> bool:
        return any(call.id == call_id for call in self.calls)


class Stage:
    """The broker, and what it recorded."""

    def __init__(
        self, root: Path, servers: Mapping[str, Any], *, public_url: str = "", **more: Any
    ) -> None:
        self.root = root
        self.log = Calls()
        (root / "state").mkdir(exist_ok=True)
        settings = Settings(
            root_directory=root,
            state_directory=root / "state",
            runs_directory=root / "runs",
            mcp_servers=servers,
            public_url=public_url,
        )
        self.broker: ToolBroker = open_broker(settings, self.log, **more)

    async def tools(self, principal: Principal = ME) -> ToolList:
        """The tools of all servers, once none of them is still starting."""
        while True:
            listed = await self.broker.tools(principal)
            if not any("starting" in problem for problem in listed.problems.values()):
                return listed

    async def call(self, name: str, principal: Principal = ME, **arguments: Any) -> ToolResult:
        """The result of ``server.tool``."""
        server, tool = name.split(".", 1)
        request = ToolCallRequest(server=server, tool=tool, arguments=arguments)
        return await self.broker.call(principal, request)


def play(
    root: Path,
    servers: Mapping[str, Any],
    story: Callable[[Stage], Awaitable[T]],
    timeout_seconds: float = PATIENCE_SECONDS,
    **more: Any,
) -> T:
    """Tell the story on a stage that is cleared in the end."""

    async def tell() -> T:
        stage = Stage(root, servers, **more)
        try:
            return await story(stage)
        finally:
            await stage.broker.close()

    return asyncio.run(asyncio.wait_for(tell(), timeout_seconds))


def write_config(root: Path, servers: Mapping[str, Any]) -> None:
    """The configuration file in the root."""
    (root / "opspawn_mcp.json").write_text(json.dumps({"mcpServers": servers}))
