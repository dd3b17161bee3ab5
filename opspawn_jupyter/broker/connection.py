"""An open connection to one MCP server: the only module that speaks through the SDK's client.

What the SDK raises becomes errors of ours here. ``ConnectionLost`` stays inside the broker: it
means that the server is gone or has forgotten us, and that a new connection may help.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import mcp_types as types
from mcp import Client, MCPError
from mcp.client.subscriptions import ToolsListChanged
from pydantic import TypeAdapter, ValidationError

from opspawn_jupyter.broker import http, stdio
from opspawn_jupyter.broker.config import ServerConfig
from opspawn_jupyter.broker.ports import ConnectionLost, Definition, Open, Progress, Question
from opspawn_jupyter.errors import ToolServerFault, ToolTimedOut
from opspawn_jupyter.model.tool import Prompt, Resource, ToolResult
from opspawn_jupyter.version import __version__

T = TypeVar("T")

_MOST_PAGES = 50
#: Protocol and envelope around a result of the largest size.
_ENVELOPE_BYTES = 256 << 10
_REFERENCE: TypeAdapter[types.PromptReference | types.ResourceTemplateReference] = TypeAdapter(
    types.PromptReference | types.ResourceTemplateReference
)
_SERVER_INFO = types.SERVER_INFO_META_KEY


@dataclass(frozen=True, kw_only=True)
class Resolved:
    """What a connection is made of, with all references resolved. Holds secrets."""

    command: tuple[str, ...]
    environment: Mapping[str, str]
    working_directory: str | None
    url: str
    headers: Mapping[str, str]


@asynccontextmanager
async def connect(
    config: ServerConfig, resolved: Resolved, events: Open
) -> AsyncIterator[SdkConnection]:
    """The server, greeted in whichever era of the protocol it knows."""
    largest = config.rules.max_result_bytes + _ENVELOPE_BYTES
    async with AsyncExitStack() as stack:
        line: stdio.Process | http.Guard
        if resolved.command:
            streams, line = await stack.enter_async_context(
                stdio.started(
                    resolved.command,
                    environment=resolved.environment,
                    working_directory=resolved.working_directory,
                    largest_message_bytes=largest,
                    lost=events.lost,
                )
            )
        else:
            streams, line = await stack.enter_async_context(
                http.reached(
                    resolved.url,
                    headers=resolved.headers,
                    largest_message_bytes=largest,
                    lost=events.lost,
                )
            )
        client = Client(
            _Ready(streams),
            cache=None,
            # Of all but calls, which bring their own: a listing may take as long as the start.
            read_timeout_seconds=max(
                config.rules.timeout_seconds, config.rules.connect_timeout_seconds
            ),
            client_info=types.Implementation(name="opspawn", version=__version__),
            message_handler=_hear(events),
            elicitation_callback=_asking(events.ask) if events.ask else None,
        )
        try:
            await stack.enter_async_context(client)
        except Exception as failure:
            raise ToolServerFault(config.name, hint=_why(line, failure)) from failure
        yield SdkConnection(client, line)


class _Ready:
    """Streams that are open already, as a transport of the SDK's."""

    def __init__(self, streams: Any) -> None:
        self._streams = streams

    async def __aenter__(self) -> Any:
        return self._streams

    async def __aexit__(self, *_: object) -> None:
        """Their owner closes them."""


class SdkConnection:
    """See ``broker.ports.Connection``."""

    def __init__(self, client: Client, line: stdio.Process | http.Guard) -> None:
        self._client = client
        self._line = line
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
        progress: Progress | None,
    ) -> ToolResult:
        """See the port."""
        result = await self._asked(
            self._client.call_tool(
                tool,
                dict(arguments),
                read_timeout_seconds=timeout_seconds,
                progress_callback=progress,
            )
        )
        return ToolResult(
            content=tuple(_dumped(part) for part in result.content),
            structured=result.structured_content,
            is_error=bool(result.is_error),
            meta={k: v for k, v in (result.meta or {}).items() if k != _SERVER_INFO},
        )

    async def resources(self) -> Sequence[Resource]:
        """Resources and templates of resources; ``server`` is left empty."""
        if self._client.server_capabilities.resources is None:
            return ()
        found = await self._pages(lambda at: self._client.list_resources(cursor=at), "resources")
        templates = await self._pages(
            lambda at: self._client.list_resource_templates(cursor=at), "resource_templates"
        )
        return [
            *(_resource(one, str(one.uri)) for one in found),
            *(_resource(one, one.uri_template, is_template=True) for one in templates),
        ]

    async def read(self, uri: str) -> Sequence[Mapping[str, Any]]:
        """What lies there."""
        result = await self._asked(self._client.read_resource(uri))
        return [_dumped(part) for part in result.contents]

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
                arguments=tuple(_dumped(argument) for argument in one.arguments or ()),
            )
            for one in found
        ]

    async def prompt(
        self, name: str, arguments: Mapping[str, str]
    ) -> tuple[str, Sequence[Mapping[str, Any]]]:
        """Description and messages."""
        result = await self._asked(self._client.get_prompt(name, dict(arguments)))
        return result.description or "", [_dumped(message) for message in result.messages]

    async def complete(
        self, ref: Mapping[str, Any], argument: Mapping[str, str], given: Mapping[str, str]
    ) -> Mapping[str, Any]:
        """Values that may follow; none of a server that offers no completion."""
        if self._client.server_capabilities.completions is None:
            return {"values": []}
        named = _REFERENCE.validate_python(ref)
        result = await self._asked(self._client.complete(named, dict(argument), dict(given)))
        return _dumped(result.completion)

    async def watch(self, changed: Callable[[], None]) -> None:
        """Hear of changes in the tools where that needs a stream of its own; may end at once."""
        tools = self._client.server_capabilities.tools
        if self.protocol_version < "2026" or tools is None or not tools.list_changed:
            return
        async with self._client.listen(tools_list_changed=True) as heard:
            async for event in heard:
                if isinstance(event, ToolsListChanged):
                    changed()

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
                raise ConnectionLost(_why(self._line, failure)) from failure
            if code == types.REQUEST_TIMEOUT:
                raise ToolTimedOut(hint=failure.error.message) from failure
            raise ToolServerFault(
                hint=f"it says: {failure.error.message}", detail={"mcp_code": code}
            ) from failure
        except (ValidationError, RuntimeError, ValueError) as failure:
            # The SDK checks what comes against the protocol and the tool's own schema.
            raise ToolServerFault(hint=_first_line(failure)) from failure
        except OSError as failure:
            raise ConnectionLost(_why(self._line, failure)) from failure


def _hear(events: Open) -> Any:  # the SDK's type of it is not public
    async def hear(message: Any) -> None:
        if isinstance(message, types.ToolListChangedNotification):
            events.changed()

    return hear


def _asking(ask: Callable[[Question], Awaitable[Mapping[str, Any] | None]]) -> Any:  # as above
    async def elicit(_: Any, params: Any) -> Any:
        if not isinstance(params, types.ElicitRequestFormParams):
            return types.ElicitResult(action="decline")
        schema = params.requested_schema
        answer = await ask(Question(message=params.message, schema=dict(schema)))
        if answer is None:
            return types.ElicitResult(action="decline")
        return types.ElicitResult(action="accept", content=dict(answer))

    return elicit


def _resource(one: Any, uri: str, *, is_template: bool = False) -> Resource:
    return Resource(
        server="",
        uri=uri,
        name=one.name,
        description=one.description or "",
        mime_type=one.mime_type,
        is_template=is_template,
    )


def _dumped(part: Any) -> Mapping[str, Any]:
    dumped: Mapping[str, Any] = part.model_dump(by_alias=True, mode="json", exclude_none=True)
    return dumped


def _why(line: stdio.Process | http.Guard, failure: BaseException) -> str:
    """What is known of the reason, from the most telling source."""
    if line.fault:
        return line.fault
    words = line.last_words if isinstance(line, stdio.Process) else ""
    if words:
        return f"{_first_line(failure)}; its last words: {words.splitlines()[-1][:300]}"
    return _first_line(failure)


def _first_line(failure: BaseException) -> str:
    while isinstance(failure, BaseExceptionGroup):
        failure = failure.exceptions[0]
    text = str(failure) or type(failure).__name__
    return text.splitlines()[0][:300]
