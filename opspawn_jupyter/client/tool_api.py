"""The routes of MCP tools as typed methods; part of ``Api``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opspawn_jupyter import errors
from opspawn_jupyter.client.transport import Transport
from opspawn_jupyter.client.values import plain
from opspawn_jupyter.model import wire
from opspawn_jupyter.model.tool import (
    ApprovalRequest,
    ImportRequest,
    LoginRequest,
    PromptList,
    PromptRequest,
    PromptText,
    ResourceContent,
    ResourceList,
    ResourceRequest,
    ToolCallRequest,
    ToolList,
    ToolLogin,
    ToolResult,
    ToolServerList,
)

#: The server's own limits end a call; one that waits for a person's word may take long.
_CALL_TIMEOUT_SECONDS = 24 * 3600.0


class ToolApi:
    """Tools, resources and prompts of the MCP servers that the Jupyter server is connected to."""

    async def tool_servers(self) -> ToolServerList:
        """The MCP servers that are configured, as they stand."""
        return wire.decode(ToolServerList, await self._get("mcp/servers"))

    async def approve_tool(self, name: str, digest: str) -> ToolServerList:
        """Let a server's command run (``name`` is the server's) or take a changed tool as it is
        now (``server.tool``). ``digest`` is what the listing showed. Raises ``ToolNotApproved``
        where it is another by now."""
        body = wire.encode(ApprovalRequest(name=name, digest=digest))
        answer = await self._connected().call("POST", "mcp/approvals", body=body)
        return wire.decode(ToolServerList, answer)

    async def import_tool_servers(self, path: str) -> ToolServerList:
        """Take over the servers that another program's file (``.mcp.json``) names; they run once
        their commands are approved."""
        body = wire.encode(ImportRequest(path=path))
        return wire.decode(
            ToolServerList, await self._connected().call("POST", "mcp/imports", body=body)
        )

    async def log_in_to(self, server: str) -> ToolLogin:
        """Where to log in to a server that wants it, with OAuth; calls that wait for the login go
        on once somebody has. Its ``url`` is empty where no login is needed."""
        body = wire.encode(LoginRequest(server=server))
        return wire.decode(ToolLogin, await self._connected().call("POST", "mcp/login", body=body))

    async def log_out_of(self, server: str) -> ToolLogin:
        """Forget a login, and end what it let in."""
        body = wire.encode(LoginRequest(server=server))
        return wire.decode(ToolLogin, await self._connected().call("POST", "mcp/logout", body=body))

    async def tools(self, server: str | None = None, *, wait: bool = False) -> ToolList:
        """The tools of all servers or of one. Starts servers that are not running. Raises
        ``ToolLoginNeeded`` where the one wants a login, unless ``wait`` has it wait for that."""
        if not wait:
            return wire.decode(ToolList, await self._get("mcp/tools", {"server": server}))
        answer = await self._connected().call(
            "GET",
            "mcp/tools",
            query={"server": server, "wait": True},
            timeout_seconds=_CALL_TIMEOUT_SECONDS,
        )
        return wire.decode(ToolList, answer)

    async def call_tool(
        self,
        name: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        arguments_text: Mapping[str, str] | None = None,
        timeout: float | None = None,
        call_id: str | None = None,
    ) -> ToolResult:
        """What the tool ``server.tool`` gives. Raises ``ToolFailed`` where it says that it failed,
        and other errors whose names begin with ``Tool``.

        A call that may wait for a person can bear an id (``model.ids.new_id``): made again with
        it after a restart of the server, it finds the answer that was given meanwhile.
        """
        server, tool = split_tool_name(name)
        request = ToolCallRequest(
            server=server,
            tool=tool,
            arguments=plain(dict(arguments or {})),
            arguments_text=arguments_text or {},
            timeout_seconds=timeout,
            id=call_id,
        )
        answer = await self._connected().call(
            "POST", "mcp/call", body=wire.encode(request), timeout_seconds=_CALL_TIMEOUT_SECONDS
        )
        result = wire.decode(ToolResult, answer)
        if result.is_error:
            raise errors.ToolFailed(name, hint=result.text or "it gave no reason")
        return result

    async def resources(self, server: str | None = None) -> ResourceList:
        """What MCP servers let read."""
        return wire.decode(ResourceList, await self._get("mcp/resources", {"server": server}))

    async def read_resource(self, server: str, uri: str) -> ResourceContent:
        """What lies at a resource's address."""
        body = wire.encode(ResourceRequest(server=server, uri=uri))
        answer = await self._connected().call("POST", "mcp/resource", body=body)
        return wire.decode(ResourceContent, answer)

    async def prompts(self, server: str | None = None) -> PromptList:
        """Texts that MCP servers write for models."""
        return wire.decode(PromptList, await self._get("mcp/prompts", {"server": server}))

    async def prompt(
        self, server: str, name: str, arguments: Mapping[str, str] | None = None
    ) -> PromptText:
        """A prompt, written with the arguments."""
        body = wire.encode(PromptRequest(server=server, name=name, arguments=arguments or {}))
        answer = await self._connected().call("POST", "mcp/prompt", body=body)
        return wire.decode(PromptText, answer)

    async def _get(self, path: str, query: dict[str, Any] | None = None) -> Any:
        raise NotImplementedError

    def _connected(self) -> Transport:
        raise NotImplementedError


def split_tool_name(name: str) -> tuple[str, str]:
    """Server and tool of ``server.tool``."""
    server, dot, tool = name.partition(".")
    if not dot or not tool:
        raise errors.UsageError(name, hint="a tool is named as server.tool")
    return server, tool
