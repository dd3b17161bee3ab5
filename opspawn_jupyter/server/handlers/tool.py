"""Tools of MCP servers: the JSON door for kernels, browsers and programs.

A task's kernel opens it with its key instead of the server's token, and sees only its own tools.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from jupyter_server.auth.decorator import authorized
from tornado import web

from opspawn_jupyter.broker.broker import ToolBroker
from opspawn_jupyter.broker.recording import CALLER_LEFT
from opspawn_jupyter.errors import OpspawnError, StoreUnavailable
from opspawn_jupyter.model.tool import (
    ApprovalRequest,
    ImportRequest,
    Principal,
    PromptRequest,
    ResourceRequest,
    ToolCallRequest,
    ToolResult,
)
from opspawn_jupyter.server.handlers.base import ApiHandler
from opspawn_jupyter.server.handlers.task_key import TaskKeyMixin
from opspawn_jupyter.server.schemas import ToolQuery


async def _tried(work: Coroutine[Any, Any, Any]) -> Any:
    """What it gives, or our own error: that a call was refused is nobody's fault here."""
    try:
        return await work
    except OpspawnError as problem:
        return problem


def _size_of(given: Any) -> int | None:
    """About how large a tool's result is, where that is quickly told."""
    if not isinstance(given, ToolResult) or given.structured is not None:
        return None
    if any(part.get("type") != "text" for part in given.content):
        return None
    return sum(len(str(part.get("text", ""))) for part in given.content)


class ToolHandler(TaskKeyMixin, ApiHandler):
    """What all tool routes share."""

    async def broker(self) -> ToolBroker:
        """The tool broker."""
        return (await self.service.running()).tools.broker

    @property
    def principal(self) -> Principal:
        """Who asks."""
        return self.task_principal or Principal(user=self.caller)

    _work: asyncio.Task[Any] | None = None

    async def answer_while_heard(self, work: Coroutine[Any, Any, Any]) -> None:
        """Answer with what the work gives. It is cancelled when the caller hangs up."""
        self._work = self.service.background.start(_tried(work), "tool")
        await asyncio.wait([self._work])
        if self._work.cancelled():
            raise StoreUnavailable(hint="the server is stopping")
        given = self._work.result()
        if isinstance(given, OpspawnError):
            raise given
        await self.answer(given, size_bytes=_size_of(given))

    def on_connection_close(self) -> None:
        """Nobody waits for the answer any more."""
        super().on_connection_close()
        if self._work is not None:
            self._work.cancel(CALLER_LEFT)


class ToolServersHandler(ToolHandler):
    """The configured servers."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Give them as they stand."""
        await self.answer(await (await self.broker()).servers(self.principal))


class ToolApprovalHandler(ToolHandler):
    """What was looked at and found good."""

    @web.authenticated
    @authorized
    async def post(self) -> None:
        """Take the approval."""
        broker, request = await self.broker(), await self.body(ApprovalRequest)
        await broker.approve(self.principal, request)
        await self.answer(await broker.servers(self.principal))


class ToolImportHandler(ToolHandler):
    """Servers that other programs' files name."""

    @web.authenticated
    @authorized
    async def post(self) -> None:
        """Take a file's servers over."""
        broker, request = await self.broker(), await self.body(ImportRequest)
        await broker.take_over(self.principal, request.path)
        await self.answer(await broker.servers(self.principal))


class ToolsHandler(ToolHandler):
    """The tools."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """List them."""
        broker, query = await self.broker(), self.query(ToolQuery)
        listing = broker.tools(self.principal, query.server, waits=query.wait)
        await self.answer_while_heard(listing)


class ToolCallHandler(ToolHandler):
    """Calls."""

    @web.authenticated
    @authorized
    async def post(self) -> None:
        """Call a tool."""
        broker, request = await self.broker(), await self.body(ToolCallRequest)
        await self.answer_while_heard(broker.call(self.principal, request))


class ResourcesHandler(ToolHandler):
    """What servers let read."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """List it."""
        query = self.query(ToolQuery)
        await self.answer(await (await self.broker()).resources(self.principal, query.server))


class ResourceHandler(ToolHandler):
    """One resource."""

    @web.authenticated
    @authorized("read")  # type: ignore[untyped-decorator] # its hints lack this use
    async def post(self) -> None:
        """Read it. A POST, because its address is long."""
        broker, request = await self.broker(), await self.body(ResourceRequest)
        await self.answer_while_heard(broker.read(self.principal, request.server, request.uri))


class PromptsHandler(ToolHandler):
    """Texts that servers write for models."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """List them."""
        query = self.query(ToolQuery)
        await self.answer(await (await self.broker()).prompts(self.principal, query.server))


class PromptHandler(ToolHandler):
    """One prompt."""

    @web.authenticated
    @authorized("read")  # type: ignore[untyped-decorator] # its hints lack this use
    async def post(self) -> None:
        """Have it written."""
        broker, request = await self.broker(), await self.body(PromptRequest)
        await self.answer_while_heard(
            broker.prompt(self.principal, request.server, request.name, request.arguments)
        )
