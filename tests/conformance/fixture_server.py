"""The tools, resources and prompts that the official conformance suite asks a server for.

It runs behind our endpoint, over standard streams, as any tool server does: so the suite sees what
passes through the broker.
"""

from __future__ import annotations

import asyncio
import base64
import sys
from typing import Any

import mcp_types as types
from mcp import MCPError
from mcp.server.lowlevel import Server
from mcp.server.runner import serve_loop
from mcp.server.stdio import stdio_server
from mcp.server.subscriptions import (
    InMemorySubscriptionBus,
    ListenHandler,
    PromptsListChanged,
    ToolsListChanged,
)
from mcp.shared.message import ServerMessageMetadata

PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5Er"
    "kJggg=="
)
SILENCE = base64.b64encode(
    b"RIFF$\0\0\0WAVEfmt \x10\0\0\0\1\0\1\0@\x1f\0\0@\x1f\0\0\1\0\x08\0data\0\0\0\0"
).decode()
BUS = InMemorySubscriptionBus()
EMPTY: dict[str, Any] = {"type": "object", "properties": {}}
SCHEMA_2020_12: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {
        "address": {
            "$anchor": "addressDef",
            "type": "object",
            "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
        }
    },
    "properties": {
        "name": {"type": "string"},
        "address": {"$ref": "#/$defs/address"},
        "contactMethod": {"type": "string", "enum": ["phone", "email"]},
        "phone": {"type": "string"},
        "email": {"type": "string"},
    },
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
    "additionalProperties": False,
}


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _embedded(uri: str, text: str) -> dict[str, Any]:
    resource = {"uri": uri, "mimeType": "text/plain", "text": text}
    return {"type": "resource", "resource": resource}


IMAGE = {"type": "image", "data": PIXEL, "mimeType": "image/png"}
AUDIO = {"type": "audio", "data": SILENCE, "mimeType": "audio/wav"}

CONTENTS: dict[str, list[dict[str, Any]]] = {
    "test_simple_text": [_text("This is a simple text response for testing.")],
    "test_image_content": [IMAGE],
    "test_audio_content": [AUDIO],
    "test_embedded_resource": [
        _embedded("test://embedded-resource", "This is an embedded resource content.")
    ],
    "test_multiple_content_types": [
        _text("Multiple content types test:"),
        IMAGE,
        {
            "type": "resource",
            "resource": {
                "uri": "test://mixed-content-resource",
                "mimeType": "application/json",
                "text": '{"test":"data","value":123}',
            },
        },
    ],
    "test_tool_with_progress": [_text("done")],
    "test_error_handling": [_text("This tool intentionally returns an error for testing")],
    "json_schema_2020_12_tool": [_text("checked")],
    "test_custom_header": [_text("seen")],
    "test_tool_with_logging": [_text("logged")],
    "test_logging_tool": [_text("logged")],
    "test_reconnection": [_text("done")],
    "test_missing_capability": [_text("able")],
    "test_trigger_tool_change": [_text("changed")],
    "test_trigger_prompt_change": [_text("changed")],
}
SCHEMAS: dict[str, dict[str, Any]] = {
    "json_schema_2020_12_tool": SCHEMA_2020_12,
    "test_custom_header": {
        "type": "object",
        "properties": {"region": {"type": "string", "x-mcp-header": "Region"}},
    },
}


def _form(message: str, properties: dict[str, Any]) -> dict[str, Any]:
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    return {
        "method": "elicitation/create",
        "params": {"mode": "form", "message": message, "requestedSchema": schema},
    }


def _sample(text: str) -> dict[str, Any]:
    messages = [{"role": "user", "content": _text(text)}]
    return {"method": "sampling/createMessage", "params": {"messages": messages, "maxTokens": 100}}


def _choice(*values: str, **more: Any) -> dict[str, Any]:
    return {"type": "string", "enum": list(values), **more}


def _titled(key: str, **titles: str) -> dict[str, Any]:
    return {key: [{"const": value, "title": title} for value, title in titles.items()]}


TEXT = {"type": "string"}
ROOTS = {"method": "roots/list", "params": {}}
NAME = _form("What is your name?", {"name": TEXT})
CONFIRM = _form("Please confirm", {"ok": {"type": "boolean"}})
DEFAULTS = {
    "name": {"type": "string", "default": "John Doe"},
    "age": {"type": "integer", "default": 30},
    "score": {"type": "number", "default": 95.5},
    "status": _choice("active", "inactive", "pending", default="active"),
    "verified": {"type": "boolean", "default": True},
}
ENUMS = {
    "untitledSingle": _choice("option1", "option2", "option3"),
    "titledSingle": {"type": "string", **_titled("oneOf", value1="First", value2="Second")},
    "legacyEnum": _choice("opt1", "opt2", enumNames=["Option One", "Option Two"]),
    "untitledMulti": {"type": "array", "items": _choice("option1", "option2")},
    "titledMulti": {"type": "array", "items": _titled("anyOf", value1="First", value2="Second")},
}

#: What tools and a prompt ask, round by round, and the text of the answer in the end.
ROUNDS: dict[str, list[dict[str, Any]]] = {
    "test_elicitation": [{"answer": _form("Your response?", {"response": TEXT})}],
    "test_elicitation_sep1034_defaults": [{"answer": _form("About you", DEFAULTS)}],
    "test_elicitation_sep1330_enums": [{"answer": _form("Choose", ENUMS)}],
    "test_sampling": [{"answer": _sample("Test prompt")}],
    "test_streaming_elicitation": [{"user_name": NAME}],
    "test_input_required_result_elicitation": [{"user_name": NAME}],
    "test_input_required_result_sampling": [
        {"capital_question": _sample("What is the capital of France?")}
    ],
    "test_input_required_result_list_roots": [{"client_roots": ROOTS}],
    "test_input_required_result_request_state": [{"confirm": CONFIRM}],
    "test_input_required_result_tampered_state": [{"confirm": CONFIRM}],
    "test_input_required_result_multiple_inputs": [
        {"user_name": NAME, "greeting": _sample("Generate a greeting"), "client_roots": ROOTS}
    ],
    "test_input_required_result_multi_round": [
        {"step1": NAME},
        {"step2": _form("Your favorite color?", {"color": TEXT})},
    ],
    "test_input_required_result_capabilities": [{"sample": _sample("Say hello"), "ask": NAME}],
    "test_input_required_result_prompt": [{"context": _form("Which?", {"context": TEXT})}],
}
METHODS: dict[str, tuple[Any, Any, str]] = {
    "elicitation/create": (types.ElicitRequest, types.ElicitResult, "elicitation"),
    "sampling/createMessage": (types.CreateMessageRequest, types.CreateMessageResult, "sampling"),
    "roots/list": (types.ListRootsRequest, types.ListRootsResult, "roots"),
}


async def _ask(ctx: Any, params: Any) -> types.InputRequiredResult | str:
    """The answers as text, or what is still to be asked. In the older era it is asked here."""
    rounds = ROUNDS[params.name]
    if ctx.protocol_version < "2026":
        answers = [await _push(ctx, one) for asked in rounds for one in asked.values()]
        return "; ".join(answer.model_dump_json(exclude_none=True) for answer in answers)
    done = int(params.request_state or 0)
    given = params.input_responses or {}
    if given.keys() >= rounds[done].keys():
        done += 1
    if done == len(rounds):
        return "; ".join(answer.model_dump_json(exclude_none=True) for answer in given.values())
    declared = ctx.session.client_capabilities
    asked = {
        key: one
        for key, one in rounds[done].items()
        if getattr(declared, METHODS[one["method"]][2], None) is not None
    }
    return types.InputRequiredResult.model_validate(
        {"inputRequests": asked, "requestState": str(done)}
    )


async def _push(ctx: Any, asked: dict[str, Any]) -> Any:
    request, result, _ = METHODS[asked["method"]]
    related = ServerMessageMetadata(related_request_id=ctx.request_id)
    return await ctx.session.send_request(request.model_validate(asked), result, metadata=related)


async def _log(ctx: Any) -> None:
    for text in ("Tool execution started", "Tool processing data", "Tool execution completed"):
        params = types.LoggingMessageNotificationParams(level="info", data=text)
        await ctx.session.send_notification(
            types.LoggingMessageNotification(params=params), related_request_id=ctx.request_id
        )
        await asyncio.sleep(0.05)


async def _require_sampling(ctx: Any) -> None:
    declared = ctx.session.client_capabilities
    if declared is None or declared.sampling is None:
        raise MCPError(
            code=types.MISSING_REQUIRED_CLIENT_CAPABILITY,
            message="This tool needs sampling",
            data={"requiredCapabilities": {"sampling": {}}},
        )


async def list_tools(_: Any, __: Any) -> types.ListToolsResult:
    tools = [
        {
            "name": name,
            "description": f"Fixture {name}",
            "inputSchema": SCHEMAS.get(name, EMPTY),
        }
        for name in (*CONTENTS, *(name for name in ROUNDS if not name.endswith("_prompt")))
    ]
    return types.ListToolsResult.model_validate({"tools": tools})


async def call_tool(ctx: Any, params: types.CallToolRequestParams) -> Any:
    if params.name in ROUNDS:
        said = await _ask(ctx, params)
        if not isinstance(said, str):
            return said
        return types.CallToolResult.model_validate({"content": [_text(said)]})
    if params.name in ACTS:
        await ACTS[params.name](ctx)
    return types.CallToolResult.model_validate(
        {"content": CONTENTS[params.name], "isError": params.name == "test_error_handling"}
    )


async def _progress(ctx: Any) -> None:
    for progress in (0, 50, 100):
        await ctx.session.report_progress(progress, 100, f"step {progress}")
        await asyncio.sleep(0.05)


async def _change_tools(ctx: Any) -> None:
    await BUS.publish(ToolsListChanged())
    if ctx.protocol_version < "2026":
        await ctx.session.send_tool_list_changed()


async def _change_prompts(ctx: Any) -> None:
    await BUS.publish(PromptsListChanged())
    if ctx.protocol_version < "2026":
        await ctx.session.send_prompt_list_changed()


#: What tools do before they answer.
ACTS = {
    "test_tool_with_progress": _progress,
    "test_tool_with_logging": _log,
    "test_logging_tool": _log,
    "test_missing_capability": _require_sampling,
    "test_trigger_tool_change": _change_tools,
    "test_trigger_prompt_change": _change_prompts,
}


async def list_resources(_: Any, __: Any) -> types.ListResourcesResult:
    resources = [
        {"uri": "test://static-text", "name": "text", "mimeType": "text/plain"},
        {"uri": "test://static-binary", "name": "binary", "mimeType": "image/png"},
        {"uri": "test://watched-resource", "name": "watched", "mimeType": "text/plain"},
    ]
    return types.ListResourcesResult.model_validate({"resources": resources})


async def list_templates(_: Any, __: Any) -> types.ListResourceTemplatesResult:
    template = {
        "uriTemplate": "test://template/{id}/data",
        "name": "template",
        "mimeType": "application/json",
    }
    return types.ListResourceTemplatesResult.model_validate({"resourceTemplates": [template]})


async def read_resource(
    _: Any, params: types.ReadResourceRequestParams
) -> types.ReadResourceResult:
    uri = str(params.uri)
    if uri in ("test://static-text", "test://watched-resource"):
        content = {"mimeType": "text/plain", "text": "This is the content of the static text."}
    elif uri == "test://static-binary":
        content = {"mimeType": "image/png", "blob": PIXEL}
    elif uri.startswith("test://template/"):
        said = f'{{"id":"{uri.split("/")[3]}","templateTest":true,"data":"Data for ID"}}'
        content = {"mimeType": "application/json", "text": said}
    else:
        raise MCPError(code=-32602, message="Resource not found", data={"uri": uri})
    return types.ReadResourceResult.model_validate({"contents": [{"uri": uri, **content}]})


ARGUMENTS = [
    {"name": "arg1", "description": "first", "required": True},
    {"name": "arg2", "description": "second", "required": True},
]
PROMPTS: dict[str, list[dict[str, Any]]] = {
    "test_simple_prompt": [],
    "test_prompt_with_arguments": ARGUMENTS,
    "test_prompt_with_embedded_resource": [
        {"name": "resourceUri", "description": "which", "required": True}
    ],
    "test_prompt_with_image": [],
    "test_input_required_result_prompt": [],
}


async def list_prompts(_: Any, __: Any) -> types.ListPromptsResult:
    prompts = [
        {"name": name, "description": f"Fixture {name}", "arguments": arguments}
        for name, arguments in PROMPTS.items()
    ]
    return types.ListPromptsResult.model_validate({"prompts": prompts})


async def get_prompt(ctx: Any, params: types.GetPromptRequestParams) -> Any:
    if params.name in ROUNDS:
        said = await _ask(ctx, params)
        if not isinstance(said, str):
            return said
        messages = [{"role": "user", "content": _text(said)}]
        return types.GetPromptResult.model_validate({"messages": messages})
    given = params.arguments or {}
    contents: dict[str, list[dict[str, Any]]] = {
        "test_simple_prompt": [_text("This is a simple prompt for testing.")],
        "test_prompt_with_arguments": [
            _text(f"Prompt with arguments: arg1='{given.get('arg1')}', arg2='{given.get('arg2')}'")
        ],
        "test_prompt_with_embedded_resource": [
            _embedded(str(given.get("resourceUri")), "Embedded resource content for testing."),
            _text("Please process the embedded resource above."),
        ],
        "test_prompt_with_image": [IMAGE, _text("Please analyze the image above.")],
    }
    messages = [{"role": "user", "content": one} for one in contents[params.name]]
    return types.GetPromptResult.model_validate({"messages": messages})


async def complete(_: Any, params: types.CompleteRequestParams) -> types.CompleteResult:
    known = ("paris", "park", "party")
    values = [value for value in known if value.startswith(params.argument.value)]
    completion = {"values": values, "total": len(values)}
    return types.CompleteResult.model_validate({"completion": completion})


async def subscribe(_: Any, __: Any) -> types.EmptyResult:
    return types.EmptyResult()


async def main() -> None:
    server: Server[Any] = Server(
        "fixture",
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        on_list_resources=list_resources,
        on_list_resource_templates=list_templates,
        on_read_resource=read_resource,
        on_list_prompts=list_prompts,
        on_get_prompt=get_prompt,
        on_completion=complete,
        on_subscribe_resource=subscribe,
        on_unsubscribe_resource=subscribe,
        on_subscriptions_listen=ListenHandler(BUS),
    )
    async with stdio_server() as (incoming, outgoing):
        if "older" in sys.argv:  # the handshake alone, as servers before 2026 speak
            await serve_loop(server, incoming, outgoing, lifespan_state={})
        else:
            await server.run(incoming, outgoing, server.create_initialization_options())


if __name__ == "__main__":
    asyncio.run(main())
