"""The broker as an MCP server: tools of all servers under one address, and our own.

One SDK server serves both eras of the protocol. Who calls, and whether one server's tools are
asked for by their own names (``/opspawn/mcp/<server>``), stands in the HTTP request's scope; so
nothing of one caller is ever used for another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import mcp_types as types
from mcp import MCPError
from mcp.server.lowlevel import NotificationOptions, Server

from opspawn_jupyter.broker import arguments as checked
from opspawn_jupyter.broker.answers import (
    definition,
    listed_name,
    own_definition,
    prompt_definition,
    text_result,
    tool_result,
    value_result,
)
from opspawn_jupyter.broker.broker import ToolBroker
from opspawn_jupyter.broker.connected import set_level
from opspawn_jupyter.broker.conversation import Conversations
from opspawn_jupyter.broker.own_tool import OwnTool, asked_server
from opspawn_jupyter.broker.ports import Host
from opspawn_jupyter.broker.search import best
from opspawn_jupyter.broker.words import mcp_name
from opspawn_jupyter.errors import NotFound, OpspawnError, ToolNotFound
from opspawn_jupyter.model import wire
from opspawn_jupyter.model.tool import Principal, Prompt, Tool, ToolCallRequest
from opspawn_jupyter.version import __version__

#: A larger catalogue is searched (``find_tools``) instead of listed: it would fill the context of
#: whichever model asks.
_MOST_LISTED = 100
_INSTRUCTIONS = (
    "Tools named <server>__<tool> are those of MCP servers that this Jupyter server is connected "
    "to. The others run notebooks and other tasks in the background: submit, look, fetch."
)


class _Announcing(Server[Any]):
    """Says in its greeting that it tells of changes."""

    def create_initialization_options(
        self, notification_options: NotificationOptions | None = None, *more: Any, **named: Any
    ) -> Any:
        """Called by the SDK for each session."""
        told = notification_options or NotificationOptions(
            prompts_changed=True, resources_changed=True, tools_changed=True
        )
        return super().create_initialization_options(told, *more, **named)


class Endpoint:
    """Answers MCP requests out of the broker and the tools of our own."""

    def __init__(self, broker: ToolBroker, own: Sequence[OwnTool]) -> None:
        self._broker = broker
        self._own = {tool.name: tool for tool in [*own, *self._finders()]}
        self._schemas: dict[tuple[str | None, str], Mapping[str, Any]] = {}
        self._conversations = Conversations()
        self.server: Server[Any] = _Announcing(
            "opspawn",
            version=__version__,
            instructions=_INSTRUCTIONS,
            get_tool_input_schema=self._schema,
            on_list_tools=self._list_tools,
            on_call_tool=self._call_tool,
            on_list_resources=self._list_resources,
            on_list_resource_templates=self._list_templates,
            on_read_resource=self._read_resource,
            on_list_prompts=self._list_prompts,
            on_get_prompt=self._get_prompt,
            on_completion=self._complete,
        )
        self.server.add_request_handler("logging/setLevel", types.SetLevelRequestParams, set_level)

    def own_tool(self, name: str, principal: Principal) -> OwnTool | None:
        """Our own tool of this name; a task has none, its key is for its declared tools."""
        return self._own.get(name) if principal.task_id is None else None

    async def call_own(self, tool: OwnTool, principal: Principal, given: Mapping[str, Any]) -> Any:
        """What the tool gives. Raises one of our errors."""
        described = Tool(server="opspawn", name=tool.name, input_schema=tool.input_schema)
        checked.check(described, given)
        return wire.encode(await tool.run(principal, given))

    def _schema(self, name: str) -> Mapping[str, Any] | None:
        only = asked_server.get()
        own = self._own.get(name) if only is None else None
        return own.input_schema if own else self._schemas.get((only, name))

    async def _list_tools(self, ctx: Any, _: Any) -> types.ListToolsResult:
        principal, only = caller(ctx)
        found = (await self._broker.tools(principal, only)).tools
        listed = [tool for tool in found if not tool.problem]
        if only is None and len(listed) > _MOST_LISTED:
            listed = []
        self._schemas |= {(only, listed_name(tool, only)): tool.input_schema for tool in listed}
        own = self._own.values() if only is None and principal.task_id is None else ()
        return types.ListToolsResult(
            tools=[
                *(own_definition(tool) for tool in own),
                *(definition(tool, only) for tool in listed),
            ]
        )

    async def _call_tool(self, ctx: Any, params: types.CallToolRequestParams) -> Any:
        principal, only = caller(ctx)
        given = params.arguments or {}
        own = self.own_tool(params.name, principal) if only is None else None
        try:
            if own is not None:
                return value_result(await self.call_own(own, principal, given))
            server, tool = await self._resolve(principal, params.name, only)
            request = ToolCallRequest(server=server, tool=tool, arguments=given)

            async def work(host: Host) -> types.CallToolResult:
                return tool_result(await self._broker.call(principal, request, host))

            return await self._conversations.hold(ctx, params, principal, work)
        except ToolNotFound as problem:
            message = f"Unknown tool: {params.name}"
            raise MCPError(code=types.INVALID_PARAMS, message=message) from problem
        except OpspawnError as problem:  # for the model to read, not a fault of the protocol
            _require_capable(problem)
            return text_result(problem.message, is_error=True)

    async def _resolve(self, principal: Principal, name: str, only: str | None) -> tuple[str, str]:
        """Server and tool of the name that a client knows. Raises ``ToolNotFound``."""
        if only is not None:
            return only, name
        server, _, tool = name.partition("__")
        if tool and mcp_name(server, tool) == name:
            return server, tool
        for one in (await self._broker.tools(principal)).tools:
            if mcp_name(one.server, one.name) == name:
                return one.server, one.name
        raise ToolNotFound(name)

    async def _list_resources(self, ctx: Any, _: Any) -> types.ListResourcesResult:
        principal, only = caller(ctx)
        found = (await self._broker.resources(principal, only)).resources
        return types.ListResourcesResult(
            resources=[
                types.Resource(
                    uri=one.uri,
                    name=one.name or one.uri,
                    description=one.description,
                    mime_type=one.mime_type,
                )
                for one in found
                if not one.is_template
            ]
        )

    async def _list_templates(self, ctx: Any, _: Any) -> types.ListResourceTemplatesResult:
        principal, only = caller(ctx)
        found = (await self._broker.resources(principal, only)).resources
        return types.ListResourceTemplatesResult(
            resource_templates=[
                types.ResourceTemplate(
                    uri_template=one.uri,
                    name=one.name or one.uri,
                    description=one.description,
                    mime_type=one.mime_type,
                )
                for one in found
                if one.is_template
            ]
        )

    async def _read_resource(self, ctx: Any, params: types.ReadResourceRequestParams) -> Any:
        principal, only = caller(ctx)

        async def work(host: Host) -> types.ReadResourceResult:
            return await self._read(principal, only, str(params.uri), host)

        return await self._conversations.hold(ctx, params, principal, work)

    async def _read(
        self, principal: Principal, only: str | None, uri: str, host: Host
    ) -> types.ReadResourceResult:
        problem: OpspawnError = NotFound(uri)
        for server in await self.holders(principal, uri, only):
            try:
                read = await self._broker.read(principal, server, uri, host)
                return types.ReadResourceResult.model_validate({"contents": list(read.contents)})
            except OpspawnError as refusal:
                problem = refusal
        raise MCPError(
            code=types.INVALID_PARAMS,
            message=f"Resource not found: {uri}",
            data={"uri": uri, "reason": problem.message},
        )

    async def holders(self, principal: Principal, uri: str, only: str | None) -> Sequence[str]:
        """Servers that may have it: those that list it, else those with templates."""
        if only is not None:
            return (only,)
        found = (await self._broker.resources(principal)).resources
        exact = [one.server for one in found if one.uri == uri and not one.is_template]
        return exact[:1] or sorted({one.server for one in found if one.is_template})

    async def _list_prompts(self, ctx: Any, _: Any) -> types.ListPromptsResult:
        principal, only = caller(ctx)
        found = (await self._broker.prompts(principal, only)).prompts
        return types.ListPromptsResult.model_validate(
            {"prompts": [prompt_definition(one, only) for one in found]}
        )

    async def _get_prompt(self, ctx: Any, params: types.GetPromptRequestParams) -> Any:
        principal, only = caller(ctx)
        one = await self._find_prompt(principal, params.name, only)

        async def work(host: Host) -> types.GetPromptResult:
            text = await self._broker.prompt(
                principal, one.server, one.name, params.arguments or {}, host
            )
            return types.GetPromptResult.model_validate(
                {"description": text.description, "messages": list(text.messages)}
            )

        try:
            return await self._conversations.hold(ctx, params, principal, work)
        except OpspawnError as problem:
            raise MCPError(code=types.INVALID_PARAMS, message=problem.message) from problem

    async def _find_prompt(self, principal: Principal, name: str, only: str | None) -> Prompt:
        for one in (await self._broker.prompts(principal, only)).prompts:
            if prompt_definition(one, only)["name"] == name:
                return one
        raise MCPError(code=types.INVALID_PARAMS, message=f"Unknown prompt: {name}")

    async def _complete(
        self, ctx: Any, params: types.CompleteRequestParams
    ) -> types.CompleteResult:
        principal, only = caller(ctx)
        ref = params.ref.model_dump(by_alias=True, mode="json", exclude_none=True)
        if isinstance(params.ref, types.PromptReference):
            prompt = await self._find_prompt(principal, params.ref.name, only)
            servers, ref = [prompt.server], {**ref, "name": prompt.name}
        else:
            servers = list(await self.holders(principal, params.ref.uri, only))
        argument = {"name": params.argument.name, "value": params.argument.value}
        given = (params.context.arguments if params.context else None) or {}
        completion: Mapping[str, Any] = {"values": []}
        for server in servers[:1]:
            completion = await self._broker.complete(principal, server, ref, argument, given)
        return types.CompleteResult.model_validate({"completion": completion})

    def _finders(self) -> Sequence[OwnTool]:
        return (
            OwnTool(
                name="find_tools",
                description="Find tools of the connected MCP servers by words of what they do.",
                run=self._find,
                properties={
                    "query": {"type": "string"},
                    "limit": {"type": "integer", "minimum": 1, "maximum": 50},
                },
                required=("query",),
                is_read_only=True,
            ),
            OwnTool(
                name="call_tool",
                description="Call a tool that find_tools found, by its name.",
                run=self._call_found,
                properties={"name": {"type": "string"}, "arguments": {"type": "object"}},
                required=("name",),
            ),
        )

    async def _find(self, principal: Principal, given: Mapping[str, Any]) -> Any:
        found = (await self._broker.tools(principal)).tools
        return {
            "tools": [
                {
                    "name": mcp_name(tool.server, tool.name),
                    "description": tool.description,
                    "input_schema": tool.input_schema,
                }
                for tool in best(found, given["query"], given.get("limit", 10))
            ]
        }

    async def _call_found(self, principal: Principal, given: Mapping[str, Any]) -> Any:
        server, tool = await self._resolve(principal, given["name"], None)
        arguments = given.get("arguments", {})
        request = ToolCallRequest(server=server, tool=tool, arguments=arguments)
        return await self._broker.call(principal, request)


def caller(ctx: Any) -> tuple[Principal, str | None]:
    """Who calls, and the only server that is asked for, where one is."""
    state = ctx.request.scope["state"]
    return state["principal"], state["only"]


def _require_capable(problem: OpspawnError) -> None:
    """A tool that wants what its caller lacks says so by the protocol."""
    if problem.detail.get("mcp_code") == types.MISSING_REQUIRED_CLIENT_CAPABILITY:
        raise MCPError(
            code=types.MISSING_REQUIRED_CLIENT_CAPABILITY,
            message="Missing required client capability",
            data=problem.detail.get("mcp_data"),
        ) from problem
