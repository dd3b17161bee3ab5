"""What a caller may know of the tool servers, and use."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from opspawn_jupyter.broker import catalogue
from opspawn_jupyter.broker.approvals import Approvals
from opspawn_jupyter.broker.config import ServerConfig
from opspawn_jupyter.broker.ports import Connection
from opspawn_jupyter.broker.upstreams import Upstreams
from opspawn_jupyter.errors import (
    InvalidRequest,
    NotAuthorized,
    OpspawnError,
    ToolNotAllowed,
    ToolNotApproved,
    ToolNotFound,
)
from opspawn_jupyter.model.tool import Permission, Principal, Prompt, Resource, Tool

T = TypeVar("T")
L = TypeVar("L", Resource, Prompt)

#: How long a listing waits for a server; one that is slower is left out, and named.
_LISTING_SECONDS = 10.0


class Access:
    """Finds servers and tools for callers. To whom one is not open, it is not there."""

    def __init__(self, upstreams: Upstreams, approvals: Approvals) -> None:
        self._upstreams = upstreams
        self._approvals = approvals

    def config(self, principal: Principal, name: str) -> ServerConfig:
        """The server, if this caller may know of it."""
        config = self._upstreams.config(name)
        if config is None or not principal.may_reach(name):
            known = ", ".join(sorted(self._upstreams.names(principal))) or "none"
            raise ToolNotFound(name, hint=f"configured tool servers: {known}")
        return config

    def login_config(self, principal: Principal, name: str) -> ServerConfig:
        """The server, if this caller may log in there."""
        if principal.task_id is not None:
            raise NotAuthorized(hint="a task logs nobody in or out; a person does")
        config = self.config(principal, name)
        if config.command:
            raise InvalidRequest(name, hint="it is started here, and wants no login")
        return config

    async def tool(self, principal: Principal, config: ServerConfig, name: str) -> Tool:
        """The tool, if this caller may use it now."""
        if not principal.may_use(config.name, name):
            raise ToolNotFound(f"{config.name}.{name}")
        if catalogue.permission(config.rules, name) is Permission.DENY:
            raise ToolNotAllowed(f"{config.name}.{name}")
        for tool in await self.tools_of(principal, config, waits=True):
            if tool.name == name:
                if tool.problem:
                    raise ToolNotApproved(tool.full_name, hint=tool.problem)
                return tool
        raise ToolNotFound(f"{config.name}.{name}")

    async def tools_of(
        self, principal: Principal, config: ServerConfig, *, waits: bool = False
    ) -> Sequence[Tool]:
        """The tools of the server that this caller may see."""
        upstream = self._upstreams.get(config, principal)
        found = await upstream.tools(self._approvals, waits=waits)
        await self._approvals.save()
        return [
            tool
            for tool in found
            if principal.may_use(config.name, tool.name) and tool.permission is not Permission.DENY
        ]

    async def listed(
        self,
        principal: Principal,
        server: str | None,
        ask: Callable[[Connection], Awaitable[Sequence[L]]],
    ) -> tuple[list[L], Mapping[str, str]]:
        """Resources or prompts, with the names of their servers."""

        async def of(principal: Principal, config: ServerConfig) -> Sequence[L]:
            upstream = self._upstreams.get(config, principal)
            listed = await upstream.use(ask, is_safe=True, waits=False)
            return [replace(one, server=config.name) for one in listed]

        return await self.ask_all(principal, server, of)

    async def ask_all(
        self,
        principal: Principal,
        server: str | None,
        of: Callable[[Principal, ServerConfig], Awaitable[Sequence[T]]],
    ) -> tuple[list[T], Mapping[str, str]]:
        """What each server gives, side by side: a slow or dead one holds up no other."""
        await self._upstreams.refresh()
        if server is not None:
            return list(await of(principal, self.config(principal, server))), {}
        configs = [
            config
            for config in self._upstreams.configs()
            if config.rules.enabled and principal.may_reach(config.name)
        ]
        waits = [asyncio.ensure_future(of(principal, config)) for config in configs]
        if waits:
            await asyncio.wait(waits, timeout=_LISTING_SECONDS)
        found: list[T] = []
        problems = {}
        for config, wait in zip(configs, waits, strict=True):
            try:
                found += _given(wait)
            except OpspawnError as problem:
                standing = self._upstreams.describe(config, principal).problem
                problems[config.name] = standing or problem.message
        return found, problems


def _given(wait: asyncio.Future[Sequence[T]]) -> Sequence[T]:
    if not wait.done():
        wait.cancel()
        raise InvalidRequest(hint="it is still starting; ask again in a moment")
    return wait.result()
