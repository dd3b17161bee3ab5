"""An open connection to one MCP server, through the SDK's client.

What the SDK raises becomes errors of ours here. ``ConnectionLost`` stays inside the broker: it
means that the server is gone or has forgotten us, and that a new connection may help.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeVar

import mcp_types as types
from mcp import Client, MCPError
from mcp.client.subscriptions import (
    PromptsListChanged,
    ResourcesListChanged,
    ResourceUpdated,
    SubscriptionLost,
    ToolsListChanged,
)
from pydantic import TypeAdapter, ValidationError

from opspawn_jupyter.broker import http, stdio
from opspawn_jupyter.broker.declaring import declaring
from opspawn_jupyter.broker.inquiring import dumped
from opspawn_jupyter.broker.ports import (
    Change,
    Changed,
    ConnectionLost,
    Definition,
    Host,
)
from opspawn_jupyter.broker.reasons import first_line, shortened
from opspawn_jupyter.errors import ToolLoginNeeded, ToolServerFault, ToolTimedOut
from opspawn_jupyter.model.tool import Prompt, Resource, ToolResult

T = TypeVar("T")

_MOST_PAGES = 50
_REFERENCE: TypeAdapter[types.PromptReference | types.ResourceTemplateReference] = TypeAdapter(
    types.PromptReference | types.ResourceTemplateReference
)
_SERVER_INFO = types.SERVER_INFO_META_KEY
#: What came before has a handshake, sessions, and requests of the server's own.
_MODERN = "2026"
_EVENTS = {
    ToolsListChanged: Changed.TOOLS,
    PromptsListChanged: Changed.PROMPTS,
    ResourcesListChanged: Changed.RESOURCES,
}


class SdkConnection:
    """See ``broker.ports.Connection``."""

    def __init__(self, client: Client, line: stdio.Process | http.Guard) -> None:
        self._client = client
        self._line = line
        self._log_level: str | None = None
        self._watched: frozenset[str] = frozenset()
        self.protocol_version = client.protocol_version

    @property
    def pid(self) -> int | None:
        """Process id of a server that was started here."""
        return self._line.pid if isinstance(self._line, stdio.Process) else None

    async def tools(self) -> Sequence[Definition]:
        """Everything that the server says of its tools."""
        if self._client.server_capabilities.tools is None:
            return ()
        found = await self._pages(lambda at: self._client.list_tools(cursor=at), "tools")
        return [tool.model_dump(by_alias=True, mode="json", exclude_none=True) for tool in found]

    async def call(
        self,
        tool: str,
        arguments: Mapping[str, Any],
        timeout_seconds: float,
        host: Host,
    ) -> ToolResult:
        """See the port."""
        await self._set_log_level(host)
        with declaring(host.capabilities):
            result = await self._asked(
                self._client.call_tool(
                    tool,
                    dict(arguments),
                    read_timeout_seconds=timeout_seconds,
                    progress_callback=host.progress,
                    meta=_meta(host),
                )
            )
        return ToolResult(
            content=tuple(dumped(part) for part in result.content),
            structured=result.structured_content,
            is_error=bool(result.is_error),
            meta={k: v for k, v in (result.meta or {}).items() if k != _SERVER_INFO},
        )

    async def resources(self) -> Sequence[Resource]:
        """Resources and templates of resources; ``server`` is left empty."""
        if self._client.server_capabilities.resources is None:
            return ()
        found = await self._pages(lambda at: self._client.list_resources(cursor=at), "resources")
        templates = await self._templates()
        return [
            *(_resource(one, str(one.uri)) for one in found),
            *(_resource(one, one.uri_template, is_template=True) for one in templates),
        ]

    async def _templates(self) -> list[Any]:
        """None of a server that has resources and knows no templates; it does not say so before."""
        try:
            return await self._pages(
                lambda at: self._client.list_resource_templates(cursor=at), "resource_templates"
            )
        except ToolServerFault as fault:
            if fault.detail.get("mcp_code") == types.METHOD_NOT_FOUND:
                return []
            raise

    async def read(self, uri: str, host: Host) -> Sequence[Mapping[str, Any]]:
        """What lies there."""
        with declaring(host.capabilities):
            result = await self._asked(self._client.read_resource(uri, meta=_meta(host)))
        return [dumped(part) for part in result.contents]

    async def prompts(self) -> Sequence[Prompt]:
        """Prompts; ``server`` is left empty."""
        if self._client.server_capabilities.prompts is None:
            return ()
        found = await self._pages(lambda at: self._client.list_prompts(cursor=at), "prompts")
        return [
            Prompt(
                server="",
                name=one.name,
                description=one.description or "",
                arguments=tuple(dumped(argument) for argument in one.arguments or ()),
            )
            for one in found
        ]

    async def prompt(
        self, name: str, arguments: Mapping[str, str], host: Host
    ) -> tuple[str, Sequence[Mapping[str, Any]]]:
        """Description and messages."""
        with declaring(host.capabilities):
            result = await self._asked(
                self._client.get_prompt(name, dict(arguments), meta=_meta(host))
            )
        return result.description or "", [dumped(message) for message in result.messages]

    async def complete(
        self, ref: Mapping[str, Any], argument: Mapping[str, str], given: Mapping[str, str]
    ) -> Mapping[str, Any]:
        """Values that may follow; none of a server that offers no completion."""
        if self._client.server_capabilities.completions is None:
            return {"values": []}
        named = _REFERENCE.validate_python(ref)
        result = await self._asked(self._client.complete(named, dict(argument), dict(given)))
        return dumped(result.completion)

    async def watch(self, changed: Callable[[Change], None], uris: frozenset[str]) -> None:
        """See the port."""
        if self.protocol_version < _MODERN:
            await self._subscribe(uris)
            return
        capabilities = self._client.server_capabilities
        told = [capabilities.tools, capabilities.prompts, capabilities.resources]
        if not uris and not any(one is not None and one.list_changed for one in told):
            return
        with suppress(SubscriptionLost):  # with its connection, or its owner comes again
            async with self._client.listen(
                tools_list_changed=True,
                prompts_list_changed=True,
                resources_list_changed=True,
                resource_subscriptions=sorted(uris),
            ) as heard:
                async for event in heard:
                    changed(_change(event))

    async def _subscribe(self, uris: frozenset[str]) -> None:
        """In the older era each resource is asked for by itself; what is told comes without a
        stream of its own."""
        resources = self._client.server_capabilities.resources
        if resources is None or not resources.subscribe:
            return
        new: list[Any] = [
            types.SubscribeRequest(params=types.SubscribeRequestParams(uri=uri))
            for uri in sorted(uris - self._watched)
        ]
        gone = [
            types.UnsubscribeRequest(params=types.UnsubscribeRequestParams(uri=uri))
            for uri in sorted(self._watched - uris)
        ]
        for request in (*new, *gone):
            await self._asked(self._client.session.send_request(request, types.EmptyResult))
        self._watched = uris

    async def _set_log_level(self, host: Host) -> None:
        """In the older era the level is the connection's."""
        is_older = self.protocol_version < _MODERN
        wanted = host.log_level if host.log is not None else None
        if not is_older or wanted in (None, self._log_level):
            return
        if self._client.server_capabilities.logging is not None:
            self._log_level = wanted
            level = types.SetLevelRequest(
                params=types.SetLevelRequestParams.model_validate({"level": wanted})
            )
            await self._asked(self._client.session.send_request(level, types.EmptyResult))

    async def _pages(self, page: Callable[[str | None], Awaitable[Any]], items: str) -> list[Any]:
        found: list[Any] = []
        cursor: str | None = None
        for _ in range(_MOST_PAGES):
            answer = await self._asked(page(cursor))
            found += getattr(answer, items)
            cursor = answer.next_cursor
            if cursor is None:
                break
        return found

    async def _asked(self, request: Awaitable[T]) -> T:
        """The answer, with what can go wrong as an error of ours."""
        try:
            return await request
        except MCPError as failure:
            code = failure.error.code
            if code == types.CONNECTION_CLOSED or self._line.fault:
                raise ConnectionLost(why(self._line, failure)) from failure
            if code == http.LOGIN_REFUSED:
                refused = ToolLoginNeeded if failure.error.data == ToolLoginNeeded.code else None
                raise (refused or ToolServerFault).restore(failure.error.message, {}) from failure
            if code == types.REQUEST_TIMEOUT:
                raise ToolTimedOut(hint=failure.error.message) from failure
            raise ToolServerFault(
                hint=f"it says: {failure.error.message}",
                detail={"mcp_code": code, "mcp_data": failure.error.data},
            ) from failure
        except (ValidationError, RuntimeError, ValueError) as failure:
            # The SDK checks what comes against the protocol and the tool's own schema.
            raise ToolServerFault(hint=first_line(failure)) from failure
        except OSError as failure:
            raise ConnectionLost(why(self._line, failure)) from failure


def _meta(host: Host) -> Any:  # the SDK's type of it is not public
    """In the modern era each request says which log messages it wants."""
    if host.log is None or host.log_level is None:
        return None
    return {types.LOG_LEVEL_META_KEY: host.log_level}


def _change(event: Any) -> Change:  # one of the SDK's events
    if isinstance(event, ResourceUpdated):
        return Change(what=Changed.RESOURCE, uri=str(event.uri))
    return Change(what=_EVENTS[type(event)])


def _resource(one: Any, uri: str, *, is_template: bool = False) -> Resource:
    return Resource(
        server="",
        uri=uri,
        name=one.name,
        description=one.description or "",
        mime_type=one.mime_type,
        is_template=is_template,
    )


def why(line: stdio.Process | http.Guard, failure: BaseException) -> str:
    """What is known of the reason, from the most telling source."""
    if line.fault:
        return line.fault
    words = line.last_words if isinstance(line, stdio.Process) else ""
    if words:
        return f"{first_line(failure)}; its last words: {shortened(words.splitlines()[-1])}"
    return first_line(failure)
