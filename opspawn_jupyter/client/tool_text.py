"""Tools and what they give, as text for people."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from opspawn_jupyter.client.task_text import brief, columns
from opspawn_jupyter.client.tool_commands import Approved, ToolAnswer
from opspawn_jupyter.model.tool import (
    Permission,
    PromptList,
    PromptText,
    ResourceContent,
    ResourceList,
    Tool,
    ToolList,
    ToolLogin,
    ToolResult,
    ToolServerList,
)

_LONGEST_DESCRIPTION = 80
_NONE_CONFIGURED = "no tool servers are configured; name them in opspawn_mcp.json"


def as_text(given: ToolAnswer) -> str:
    """Whatever the tool commands give."""
    return _TEXTS[type(given)](given)


def signature(tool: Tool) -> str:
    """The tool as a call: what it needs, then what it may be given."""
    properties: Mapping[str, Any] = tool.input_schema.get("properties") or {}
    required = tool.input_schema.get("required") or ()
    needed = [f"{name}: {_type(properties[name])}" for name in properties if name in required]
    optional = [
        f"{name}: {_type(properties[name])} = …" for name in properties if name not in required
    ]
    return f"{tool.full_name}({', '.join([*needed, *optional])})"


def tool_card(tool: Tool) -> str:
    """All that matters for a call."""
    properties: Mapping[str, Any] = tool.input_schema.get("properties") or {}
    said = [
        f"  {name}: {brief(schema['description'])}"
        for name, schema in properties.items()
        if isinstance(schema, Mapping) and schema.get("description")
    ]
    lines = [signature(tool), tool.description, *said, _note(tool)]
    return "\n".join(line for line in lines if line)


def _type(schema: Any) -> str:
    if not isinstance(schema, Mapping):
        return "any"
    if choices := schema.get("enum"):
        return " | ".join(json.dumps(choice) for choice in choices[:6])
    kind = schema.get("type", "any")
    return " | ".join(kind) if isinstance(kind, list) else str(kind)


def _note(tool: Tool) -> str:
    if tool.problem:
        return f"not to be called: {tool.problem}; opspawn tools {tool.full_name} --approve"
    return "each call asks a person first" if tool.permission is Permission.ASK else ""


def _tool_list(listed: ToolList) -> str:
    rows = [
        (tool.full_name, brief(_note(tool) or tool.description, _LONGEST_DESCRIPTION))
        for tool in listed.tools
    ]
    table = columns(("tool", "what it does"), rows) if rows else ""
    return "\n".join([*([table] if table else []), *_problems(listed.problems)]) or _NONE_CONFIGURED


def _problems(problems: Mapping[str, str]) -> list[str]:
    return [f"{name}: {problem}" for name, problem in problems.items()]


def _server_list(listed: ToolServerList) -> str:
    rows = [
        (
            server.name,
            server.state.value.replace("_", " "),
            "" if server.tool_count is None else str(server.tool_count),
            brief(server.target, _LONGEST_DESCRIPTION),
            server.problem or "",
        )
        for server in listed.servers
    ]
    headings = ("server", "state", "tools", "runs", "problem")
    table = columns(headings, rows) if rows else _NONE_CONFIGURED
    offers = [
        f"{path} names {', '.join(names)}: opspawn tools --import {path}"
        for path, names in listed.offers.items()
    ]
    return "\n".join([table, *_problems(listed.problems), *offers])


def result_text(result: ToolResult) -> str:
    """The value for people: text as it is, structures as JSON, other parts by their kind."""
    if not isinstance(result.value, str):
        return json.dumps(result.value, indent=2, ensure_ascii=False)
    others = [f"({part.get('type')})" for part in result.content if part.get("type") != "text"]
    return "\n".join(part for part in [result.value, *others] if part)


def _resource_list(listed: ResourceList) -> str:
    rows = [(one.server, one.uri, brief(one.name)) for one in listed.resources]
    return "\n".join([columns(("server", "resource", "name"), rows), *_problems(listed.problems)])


def _prompt_list(listed: PromptList) -> str:
    rows = [(f"{one.server}.{one.name}", brief(one.description)) for one in listed.prompts]
    return "\n".join([columns(("prompt", "what it is for"), rows), *_problems(listed.problems)])


def _resource_content(read: ResourceContent) -> str:
    return "\n".join(str(part.get("text", "(binary)")) for part in read.contents)


def _prompt_text(written: PromptText) -> str:
    return "\n".join(
        f"{message.get('role')}: {message.get('content', {}).get('text', '(no text)')}"
        for message in written.messages
    )


def _login(login: ToolLogin) -> str:
    if login.url:
        return f"{login.server} wants you to log in: {login.url}"
    return f"{login.server}: {'lets you in' if login.is_logged_in else 'logged out'}"


_TEXTS: Mapping[type[Any], Callable[[Any], str]] = {
    ToolList: _tool_list,
    Tool: tool_card,
    ToolServerList: _server_list,
    ToolResult: result_text,
    ResourceList: _resource_list,
    ResourceContent: _resource_content,
    PromptList: _prompt_list,
    PromptText: _prompt_text,
    ToolLogin: _login,
    Approved: lambda approved: f"approved {approved.name}: {approved.what}",
}
