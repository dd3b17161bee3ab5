"""The one call, and everything else that may be asked of tool servers.

Every door (REST, kernels, MCP, workflows) comes through ``ToolBroker``; so nothing gets past the
policy, the limits and the record.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from opspawn_jupyter.broker import arguments as checked
from opspawn_jupyter.broker import asking, importing, recording, results
from opspawn_jupyter.broker.access import Access
from opspawn_jupyter.broker.approvals import Approvals
from opspawn_jupyter.broker.changes import Hear
from opspawn_jupyter.broker.config import ServerConfig
from opspawn_jupyter.broker.limits import RateLimit
from opspawn_jupyter.broker.login import Logins
from opspawn_jupyter.broker.ports import CallLog, Host, People
from opspawn_jupyter.broker.upstreams import Upstreams
from opspawn_jupyter.errors import (
    IdempotencyConflict,
    InvalidRequest,
    NotAuthorized,
    ToolNotApproved,
)
from opspawn_jupyter.model.tool import (
    ApprovalRequest,
    Permission,
    Principal,
    PromptList,
    PromptText,
    ResourceContent,
    ResourceList,
    Tool,
    ToolCallRequest,
    ToolList,
    ToolLogin,
    ToolResult,
    ToolServer,
    ToolServerList,
)

logger = logging.getLogger(__name__)

_CALL_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class ToolBroker:
    """Made once by the server."""

    def __init__(
        self,
        upstreams: Upstreams,
        approvals: Approvals,
        log: CallLog,
        people: People | None = None,
        root: Path | None = None,
        *,
        hide: Callable[[str], str] = str,
    ) -> None:
        self._upstreams = upstreams
        self._approvals = approvals
        self._access = Access(upstreams, approvals)
        self._log = log
        self._people = people
        self._root = root
        self._rate = RateLimit()
        self._records = recording.Records(log, hide)

    async def call(
        self, principal: Principal, request: ToolCallRequest, host: Host | None = None
    ) -> ToolResult:
        """What the tool gives, even where it says that it failed. Authorised, checked, limited
        and recorded; raises one of the errors that begin with ``Tool``."""
        if request.id is not None:
            await self._require_new(request.id)
        recorder = recording.Recorder(self._records, principal, request)
        with_values = False
        try:
            await self._upstreams.refresh()
            config = self._access.config(principal, request.server)
            with_values = config.rules.record_arguments
            result = await self._call(principal, config, request, host)
        except BaseException as failure:
            await recorder.failed(failure, with_values=with_values)
            raise
        await recorder.done(result, with_values=with_values)
        return result

    async def servers(self, principal: Principal) -> ToolServerList:
        """Every configured server that the caller may reach, as it stands."""
        await self._upstreams.refresh()
        found = [
            self._upstreams.describe(config, principal)
            for config in self._upstreams.configs()
            if principal.may_reach(config.name)
        ]
        offers: Mapping[str, tuple[str, ...]] = {}
        if self._root is not None and principal.task_id is None:
            known = [server.name for server in found]
            offers = await asyncio.to_thread(importing.offers, self._root, known)
        return ToolServerList(
            servers=tuple(found), problems=self._upstreams.problems, offers=offers
        )

    async def take_over(self, principal: Principal, path: str) -> None:
        """Take over the servers that another program's file names. They run once their commands
        are approved."""
        if principal.task_id is not None or self._root is None:
            raise NotAuthorized(hint="a task configures nothing; a person does")
        new = await asyncio.to_thread(importing.take_over, self._root, path)
        self._upstreams.forget()
        logger.info("tool servers imported path=%s servers=%s", path, ",".join(new))

    async def tools(
        self, principal: Principal, server: str | None = None, *, waits: bool = False
    ) -> ToolList:
        """The tools that the caller may see, of one server or of all. Who waits is given those of
        the one server once somebody has logged in, where it wants that."""
        of = partial(self._access.tools_of, waits=waits and server is not None)
        found, problems = await self._access.ask_all(principal, server, of)
        return ToolList(tools=tuple(found), problems=problems)

    async def resources(self, principal: Principal, server: str | None = None) -> ResourceList:
        """What may be read, of one server or of all."""
        found, problems = await self._access.listed(principal, server, lambda c: c.resources())
        return ResourceList(resources=tuple(found), problems=problems)

    async def read(
        self, principal: Principal, server: str, uri: str, host: Host | None = None
    ) -> ResourceContent:
        """What lies at a resource's address."""
        await self._upstreams.refresh()
        config = self._access.config(principal, server)
        upstream, seen = self._upstreams.get(config, principal), self._seen(host, config, principal)
        contents = await upstream.use(
            lambda connection: connection.read(uri, seen), is_safe=True, host=seen
        )
        return ResourceContent(contents=tuple(results.small(config, contents)))

    async def prompts(self, principal: Principal, server: str | None = None) -> PromptList:
        """The prompts of one server or of all."""
        found, problems = await self._access.listed(principal, server, lambda c: c.prompts())
        return PromptList(prompts=tuple(found), problems=problems)

    async def prompt(
        self,
        principal: Principal,
        server: str,
        name: str,
        arguments: Mapping[str, str],
        host: Host | None = None,
    ) -> PromptText:
        """A prompt, written with the arguments."""
        await self._upstreams.refresh()
        config = self._access.config(principal, server)
        upstream, seen = self._upstreams.get(config, principal), self._seen(host, config, principal)
        description, messages = await upstream.use(
            lambda connection: connection.prompt(name, arguments, seen), is_safe=True, host=seen
        )
        return PromptText(description=description, messages=tuple(results.small(config, messages)))

    async def complete(
        self,
        principal: Principal,
        server: str,
        ref: Mapping[str, Any],
        argument: Mapping[str, str],
        given: Mapping[str, str],
    ) -> Mapping[str, Any]:
        """Values that an argument of a prompt or of a resource's template may take."""
        await self._upstreams.refresh()
        upstream = self._upstreams.get(self._access.config(principal, server), principal)
        return await upstream.use(
            lambda connection: connection.complete(ref, argument, given),
            is_safe=True,
            waits=False,
        )

    def listen(self, principal: Principal, only: str | None, hear: Hear) -> Callable[[], object]:
        """Have ``hear`` called when something changed at a server, or at any that the caller may
        know of; gives what ends that."""
        return self._upstreams.changes.listen(principal, only, hear)

    async def watch(self, principal: Principal, server: str, uri: str) -> Callable[[], None]:
        """Have the server tell when the resource changes; gives what ends that."""
        await self._upstreams.refresh()
        upstream = self._upstreams.get(self._access.config(principal, server), principal)
        await upstream.watch(uri)
        return partial(upstream.unwatch, uri)

    async def approve(self, principal: Principal, request: ApprovalRequest) -> ToolServer | Tool:
        """Let a command run, or take a tool as it is now. Raises ``ToolNotApproved`` where it is
        not what was looked at."""
        if principal.task_id is not None:
            raise NotAuthorized(hint="a task approves nothing; a person does")
        server, _, tool = request.name.partition(".")
        await self._upstreams.refresh()
        config = self._access.config(principal, server)
        if tool:
            return await self._approve_tool(principal, config, tool, request.digest)
        if request.digest != config.digest:
            raise ToolNotApproved(server, hint="its command has changed since it was shown")
        await self._approvals.approve_command(config)
        self._upstreams.tell_all(server, "")
        logger.info("tool server approved server=%s by=%s", server, principal.user)
        return self._upstreams.describe(config, principal)

    async def log_in(self, principal: Principal, server: str) -> ToolLogin:
        """Whether the server lets the caller in, and if not, where somebody is to log in."""
        await self._upstreams.refresh()
        config = self._access.login_config(principal, server)
        url = await self._upstreams.get(config, principal).log_in()
        return ToolLogin(server=server, is_logged_in=not url, url=url)

    async def log_out(self, principal: Principal, server: str) -> ToolLogin:
        """Forget the login that the caller shares."""
        await self._upstreams.refresh()
        await self._upstreams.log_out(self._access.login_config(principal, server), principal)
        logger.info("tool server logged out server=%s by=%s", server, principal.user)
        return ToolLogin(server=server, is_logged_in=False)

    @property
    def logins(self) -> Logins:
        """Those that people are to make."""
        return self._upstreams.logins

    async def forget_task(self, task_id: str) -> None:
        """The task has ended: end what was started for it alone."""
        await self._upstreams.forget_task(task_id)

    async def close(self) -> None:
        """End every server that was started."""
        await asyncio.gather(self._upstreams.close(), self._records.close())

    async def _call(
        self,
        principal: Principal,
        config: ServerConfig,
        request: ToolCallRequest,
        host: Host | None,
    ) -> ToolResult:
        tool = await self._access.tool(principal, config, request.tool)
        arguments = {**request.arguments, **checked.typed(tool, request.arguments_text)}
        arguments = checked.without_nothing(tool, arguments)
        checked.check(tool, arguments)
        self._rate.take(principal, config.name, config.rules.calls_per_minute)
        if tool.permission is Permission.ASK:
            await self._await_permission(principal, tool, arguments, request.id)
        limit = config.rules.timeout_seconds
        seconds = min(request.timeout_seconds or limit, limit)
        upstream, seen = self._upstreams.get(config, principal), self._seen(host, config, principal)
        # Hints are the server's own word, so no call is ever repeated because of them.
        result = await upstream.use(
            lambda connection: connection.call(tool.name, arguments, seconds, seen),
            is_safe=False,
            host=seen,
        )
        return results.checked(config, tool, result)

    def _seen(self, host: Host | None, config: ServerConfig, principal: Principal) -> Host:
        """The caller as the server may see it."""
        return asking.held(host, config.rules, self._people, principal, config.name)

    async def _require_new(self, call_id: str) -> None:
        """A person's word is for one call."""
        if not _CALL_ID.fullmatch(call_id):
            raise InvalidRequest(call_id, hint="the id of a call is a UUID")
        if await self._log.is_known(call_id):
            raise IdempotencyConflict(call_id, hint="a call of this id has ended already")

    async def _await_permission(
        self,
        principal: Principal,
        tool: Tool,
        arguments: Mapping[str, Any],
        call_id: str | None,
    ) -> None:
        if self._people is None:
            raise ToolNotApproved(tool.full_name, hint="nobody can be asked here")
        shown = recording.redacted(arguments, self._records.hide)
        if not await self._people.may_call(principal, tool, shown, call_id):
            raise ToolNotApproved(tool.full_name, hint="the answer was no")

    async def _approve_tool(
        self, principal: Principal, config: ServerConfig, name: str, digest: str
    ) -> Tool:
        for tool in await self._access.tools_of(principal, config):
            if tool.name == name and tool.digest == digest:
                await self._approvals.approve_tool(config.name, name, digest)
                logger.info("tool approved tool=%s by=%s", tool.full_name, principal.user)
                return replace(tool, problem=None)
        raise ToolNotApproved(f"{config.name}.{name}", hint="it is not what was shown")
