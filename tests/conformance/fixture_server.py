"""The tools, resources and prompts that the official conformance suite asks a server for.

It runs behind our endpoint, over standard streams, as any tool server does: so the suite sees what
passes through the broker.
"""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import mcp_types as types
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server

PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5Er"
    "kJggg=="
)
SILENCE = base64.b64encode(
    b"RIFF$\0\0\0WAVEfmt \x10\0\0\0\1\0\1\0@\x1f\0\0@\x1f\0\0\1\0\x08\0data\0\0\0\0"
).decode()
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
    # It has nothing to say where nobody asks for a log.
    "test_logging_tool": [_text("quiet")],
}
SCHEMAS: dict[str, dict[str, Any]] = {
    "json_schema_2020_12_tool": SCHEMA_2020_12,
    "test_custom_header": {
        "type": "object",
        "properties": {"region": {"type": "string", "x-mcp-header": "Region"}},
    },
}


async def list_tools(_: Any, __: Any) -> types.ListToolsResult:
    tools = [
        {
            "name": name,
            "description": f"Fixture {name}",
            "inputSchema": SCHEMAS.get(name, EMPTY),
        }
        for name in CONTENTS
    ]
    return types.ListToolsResult.model_validate({"tools": tools})


async def call_tool(ctx: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
    if params.name == "test_tool_with_progress":
        for progress in (0, 50, 100):
            await ctx.session.report_progress(progress, 100, f"step {progress}")
            await asyncio.sleep(0.05)
    is_error = params.name == "test_error_handling"
    return types.CallToolResult.model_validate(
        {"content": CONTENTS[params.name], "isError": is_error}
    )


async def list_resources(_: Any, __: Any) -> types.ListResourcesResult:
    resources = [
        {"uri": "test://static-text", "name": "text", "mimeType": "text/plain"},
        {"uri": "test://static-binary", "name": "binary", "mimeType": "image/png"},
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
    if uri == "test://static-text":
        content = {"mimeType": "text/plain", "text": "This is the content of the static text."}
    elif uri == "test://static-binary":
        content = {"mimeType": "image/png", "blob": PIXEL}
    elif uri.startswith("test://template/"):
        said = f'{{"id":"{uri.split("/")[3]}","templateTest":true,"data":"Data for ID"}}'
        content = {"mimeType": "application/json", "text": said}
    else:
        from mcp import MCPError

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
}


async def list_prompts(_: Any, __: Any) -> types.ListPromptsResult:
    prompts = [
        {"name": name, "description": f"Fixture {name}", "arguments": arguments}
        for name, arguments in PROMPTS.items()
    ]
    return types.ListPromptsResult.model_validate({"prompts": prompts})


async def get_prompt(_: Any, params: types.GetPromptRequestParams) -> types.GetPromptResult:
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
    )
    async with stdio_server() as (incoming, outgoing):
        await server.run(incoming, outgoing, server.create_initialization_options())


if __name__ == "__main__":
    asyncio.run(main())
