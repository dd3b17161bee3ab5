"""``opspawn-mcp``: MCP over standard streams, for hosts that speak nothing else.

Finds the running Jupyter server as all commands do (``OPSPAWN_URL``, else the server of this
directory) and passes requests on to its ``/opspawn/mcp``. Both sides speak whichever era of the
protocol they know.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from typing import Any

import httpx2
import mcp_types as types
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server

from opspawn_jupyter.client import discovery
from opspawn_jupyter.errors import OpspawnError
from opspawn_jupyter.version import __version__

#: A call may wait for a person.
_CALL_SECONDS = 24 * 3600.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until standard input ends; the exit code."""
    parser = argparse.ArgumentParser(prog="opspawn-mcp", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--server", metavar="URL", help="address of the Jupyter server")
    parser.add_argument("--only", metavar="NAME", help="the tools of one MCP server alone")
    options = parser.parse_args(arguments)
    try:
        asyncio.run(_serve(discovery.find(options.server), options.only))
    except OpspawnError as problem:
        sys.stderr.write(f"opspawn-mcp: {problem.message}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


async def _serve(server: discovery.Server, only: str | None) -> None:
    url = f"{server.url}opspawn/mcp" + (f"/{only}" if only else "")
    headers = {"Authorization": server.authorization}
    timeout = httpx2.Timeout(30, read=_CALL_SECONDS)
    async with (
        httpx2.AsyncClient(headers=headers, timeout=timeout, verify=server.verify) as http,
        Client(streamable_http_client(url, http_client=http), cache=None) as client,
        stdio_server() as (incoming, outgoing),
    ):
        bridge = Bridge(client).server
        await bridge.run(incoming, outgoing, bridge.create_initialization_options())


class Bridge:
    """Answers with what the Jupyter server answers."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.server: Server[Any] = Server(
            "opspawn",
            version=__version__,
            instructions=client.instructions,
            on_list_tools=self._list_tools,
            on_call_tool=self._call_tool,
            on_list_resources=self._list_resources,
            on_list_resource_templates=self._list_templates,
            on_read_resource=self._read_resource,
            on_list_prompts=self._list_prompts,
            on_get_prompt=self._get_prompt,
        )

    async def _list_tools(self, _: Any, params: Any) -> types.ListToolsResult:
        return await self._client.list_tools(cursor=params.cursor if params else None)

    async def _call_tool(
        self, ctx: Any, params: types.CallToolRequestParams
    ) -> types.CallToolResult:
        async def tell(progress: float, total: float | None, message: str | None) -> None:
            await ctx.session.report_progress(progress, total, message)

        return _without_sender(
            await self._client.session.call_tool(
                params.name,
                params.arguments,
                read_timeout_seconds=_CALL_SECONDS,
                progress_callback=tell,
            )
        )

    async def _list_resources(self, _: Any, params: Any) -> types.ListResourcesResult:
        return await self._client.list_resources(cursor=params.cursor if params else None)

    async def _list_templates(self, _: Any, params: Any) -> types.ListResourceTemplatesResult:
        return await self._client.list_resource_templates(cursor=params.cursor if params else None)

    async def _read_resource(
        self, _: Any, params: types.ReadResourceRequestParams
    ) -> types.ReadResourceResult:
        return await self._client.read_resource(str(params.uri))

    async def _list_prompts(self, _: Any, params: Any) -> types.ListPromptsResult:
        return await self._client.list_prompts(cursor=params.cursor if params else None)

    async def _get_prompt(
        self, _: Any, params: types.GetPromptRequestParams
    ) -> types.GetPromptResult:
        return await self._client.get_prompt(params.name, params.arguments)


def _without_sender(result: types.CallToolResult) -> types.CallToolResult:
    """The result without the mark of the server that it came from: here we are the server."""
    kept = {k: v for k, v in (result.meta or {}).items() if k != types.SERVER_INFO_META_KEY}
    return result.model_copy(update={"meta": kept or None})
