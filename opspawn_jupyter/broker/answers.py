"""Tools, prompts and results as MCP has them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import mcp_types as types

from opspawn_jupyter.broker.own_tool import OwnTool
from opspawn_jupyter.broker.words import mcp_name
from opspawn_jupyter.model import wire
from opspawn_jupyter.model.tool import Prompt, Tool, ToolResult


def value_result(value: Any, *, is_error: bool = False) -> types.CallToolResult:
    """A value of ours as a result: structured, and as text for clients that read no other."""
    if isinstance(value, Mapping) and {"content", "is_error"} <= set(value):
        return tool_result(wire.decode(ToolResult, value))
    structured = value if isinstance(value, Mapping) else {"result": value}
    text = json.dumps(value, ensure_ascii=False, default=str)
    return types.CallToolResult(
        content=[types.TextContent(type="text", text=text)],
        structured_content=dict(structured),
        is_error=is_error,
    )


def text_result(text: str, *, is_error: bool) -> types.CallToolResult:
    """Words as a result."""
    content: list[types.ContentBlock] = [types.TextContent(type="text", text=text)]
    return types.CallToolResult(content=content, is_error=is_error)


def listed_name(tool: Tool, only: str | None) -> str:
    """Its own name where only its server is asked for, else with the server's before it."""
    return tool.name if only is not None else mcp_name(tool.server, tool.name)


def definition(tool: Tool, only: str | None) -> types.Tool:
    """A server's tool, as it is listed."""
    said: dict[str, Any] = {
        "name": listed_name(tool, only),
        "description": tool.description,
        "inputSchema": tool.input_schema or {"type": "object"},
        "annotations": tool.hints or None,
        "outputSchema": tool.output_schema,
    }
    return types.Tool.model_validate({key: item for key, item in said.items() if item is not None})


def own_definition(tool: OwnTool) -> types.Tool:
    """A tool of ours, as it is listed."""
    return types.Tool(
        name=tool.name,
        description=tool.description,
        input_schema=dict(tool.input_schema),
        annotations=types.ToolAnnotations(read_only_hint=tool.is_read_only),
    )


def prompt_definition(one: Prompt, only: str | None) -> dict[str, Any]:
    """A prompt, as it is listed."""
    return {
        "name": one.name if only is not None else mcp_name(one.server, one.name),
        "description": one.description,
        "arguments": list(one.arguments),
    }


def tool_result(result: ToolResult) -> types.CallToolResult:
    """What a tool gave."""
    said: dict[str, Any] = {"content": list(result.content), "isError": result.is_error}
    if result.structured is not None:
        said["structuredContent"] = result.structured
    if result.meta:
        said["_meta"] = dict(result.meta)
    return types.CallToolResult.model_validate(said)
