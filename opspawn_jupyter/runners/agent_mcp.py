"""The tools of MCP servers that an agent is given: asked for once, and kept on its tape."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from opspawn_jupyter.agentkit.tape import Tape, UnitKind
from opspawn_jupyter.client.client import AsyncClient
from opspawn_jupyter.client.discovery import Server
from opspawn_jupyter.errors import AgentStopped, OpspawnError
from opspawn_jupyter.model import wire
from opspawn_jupyter.model.agent import ToolSpec
from opspawn_jupyter.model.tool import SEPARATOR, Tool
from opspawn_jupyter.model.work import TASK_TOKEN_VARIABLE, TASK_URL_VARIABLE

_UNSAFE_IN_NAME = re.compile(r"[^\w-]")
_ANY: Mapping[str, Any] = {"type": "object"}


async def mcp_tools(
    patterns: Sequence[str], environment: Mapping[str, str], tape: Tape
) -> tuple[ToolSpec, ...]:
    """What fits the patterns, as the servers describe it, or did when the tape was made.

    ``environment`` is the kernel's, with the task's key in it. Raises ``AgentStopped`` where a
    server cannot be asked.
    """
    if not patterns:
        return ()

    async def ask() -> Any:
        return wire.encode(await _listed(patterns, environment))

    found, _ = await tape.unit(UnitKind.TOOLS, list(patterns), ask)
    return tuple(_spec(wire.decode(Tool, one)) for one in found)


async def _listed(patterns: Sequence[str], environment: Mapping[str, str]) -> list[Tool]:
    url, token = environment.get(TASK_URL_VARIABLE), environment.get(TASK_TOKEN_VARIABLE)
    if not url or not token:
        raise AgentStopped(hint="this server lets no task call tools of MCP servers")
    names = {pattern.partition(".")[0] for pattern in patterns}
    servers: list[str | None] = [None] if any("*" in name for name in names) else [*sorted(names)]
    tools: list[Tool] = []
    try:
        async with AsyncClient(Server(url=url, token=token, verify=False)) as client:
            for server in servers:
                # A login is waited for as an answer is.
                listed = await client.tools(server, wait=server is not None)
                if listed.problems:
                    raise AgentStopped(hint="; ".join(listed.problems.values()).rstrip("."))
                tools += [tool for tool in listed.tools if tool.problem is None]
    except OpspawnError as failure:
        raise AgentStopped(hint=failure.message.rstrip(".")) from failure
    if not tools:
        raise AgentStopped(hint=f"no tool fits {', '.join(patterns)}")
    return tools


def _spec(tool: Tool) -> ToolSpec:
    name = _UNSAFE_IN_NAME.sub("_", f"{tool.server}{SEPARATOR}{tool.name}")
    return ToolSpec(
        name=name[:64],
        description=tool.description,
        parameters=tool.input_schema or _ANY,
        door="mcp",
        target=tool.full_name,
    )
