"""``opspawn-mcp``: MCP over standard streams, for hosts that speak nothing else.

Finds the running Jupyter server as all commands do (``OPSPAWN_URL``, else the server of this
directory) and passes messages on, to its ``/opspawn/mcp`` and back, as they are: so whatever the
two have to say to each other arrives, in whichever era of the protocol they speak. What HTTP wants
to have in headers besides is taken from the messages.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import anyio
import httpx2
import mcp_types as types
from mcp.client.streamable_http import streamable_http_client
from mcp.server.stdio import stdio_server
from mcp.shared import inbound
from mcp.shared.message import ClientMessageMetadata, SessionMessage

from opspawn_jupyter.client import discovery
from opspawn_jupyter.errors import OpspawnError

#: A call may wait for a person, and a stream for news.
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
    talk = Talk()
    async with (
        httpx2.AsyncClient(headers=headers, timeout=timeout, verify=server.verify) as http,
        streamable_http_client(url, http_client=http) as (from_server, to_server),
        stdio_server() as (from_host, to_host),
        anyio.create_task_group() as both,
    ):
        both.start_soon(_pass_on, from_server, to_host, talk.answered)
        await _pass_on(from_host, to_server, talk.asked)
        both.cancel_scope.cancel()  # the host has gone


async def _pass_on(source: Any, target: Any, seen: Callable[[Any], SessionMessage]) -> None:
    """What comes, until nothing does any more. What is no message goes no further."""
    async for item in source:
        if isinstance(item, SessionMessage):
            await target.send(seen(item.message))
        else:
            sys.stderr.write(f"opspawn-mcp: {item}\n")


class Talk:
    """What is to be known of a conversation, to write HTTP's headers for it."""

    def __init__(self) -> None:
        #: The version that was agreed on; in the modern era each request names its own.
        self._version: str | None = None
        self._greetings: set[types.RequestId] = set()
        self._listings: set[types.RequestId] = set()
        #: Of each tool, which of its arguments stand in headers as well.
        self._mirrored: dict[str, Mapping[tuple[str, ...], str]] = {}

    def asked(self, message: Any) -> SessionMessage:
        """The host's message, with its headers."""
        method = getattr(message, "method", None)
        if isinstance(message, types.JSONRPCRequest):
            if method == "initialize":
                self._version = None
                self._greetings.add(message.id)
            elif method == "tools/list":
                self._listings.add(message.id)
        headers = self._headers(method, getattr(message, "params", None) or {})
        return SessionMessage(message, ClientMessageMetadata(headers=headers))

    def answered(self, message: Any) -> SessionMessage:
        """The server's message."""
        if isinstance(message, types.JSONRPCResponse):
            if message.id in self._greetings:
                self._version = message.result.get("protocolVersion")
            if message.id in self._listings:
                self._learn(message.result.get("tools") or ())
        if isinstance(message, (types.JSONRPCResponse, types.JSONRPCError)):
            self._greetings.discard(message.id)
            self._listings.discard(message.id)
        return SessionMessage(message)

    def _headers(self, method: str | None, params: Mapping[str, Any]) -> dict[str, str]:
        modern = (params.get("_meta") or {}).get(types.PROTOCOL_VERSION_META_KEY)
        if modern is None or method is None:
            version = self._version
            return {} if version is None else {inbound.MCP_PROTOCOL_VERSION_HEADER: version}
        headers = {
            inbound.MCP_PROTOCOL_VERSION_HEADER: str(modern),
            inbound.MCP_METHOD_HEADER: method,
        }
        name = params.get(inbound.NAME_BEARING_METHODS.get(method, "taskId"))
        if isinstance(name, str):
            headers[inbound.MCP_NAME_HEADER] = inbound.encode_header_value(name)
        if method == "tools/call":
            mirrored = self._mirrored.get(str(name), {})
            headers |= inbound.mcp_param_headers(mirrored, params.get("arguments") or {})
        return headers

    def _learn(self, tools: Sequence[Mapping[str, Any]]) -> None:
        for tool in tools:
            schema = tool.get("inputSchema")
            if inbound.find_invalid_x_mcp_header(schema) is None:
                self._mirrored[str(tool.get("name"))] = inbound.x_mcp_header_map(schema)
