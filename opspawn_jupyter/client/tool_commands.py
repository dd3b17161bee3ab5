"""What ``tools`` and ``tool`` do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from opspawn_jupyter import errors
from opspawn_jupyter.client.client import Client
from opspawn_jupyter.client.parser import Options
from opspawn_jupyter.client.tool_api import split_tool_name
from opspawn_jupyter.model.tool import (
    PromptList,
    PromptText,
    ResourceContent,
    ResourceList,
    Tool,
    ToolList,
    ToolLogin,
    ToolResult,
    ToolServer,
    ToolServerList,
)


@dataclass(frozen=True, kw_only=True)
class Approved:
    """What may run or be called from now on."""

    name: str
    #: The command of a server; the description of a tool.
    what: str


ToolAnswer = (
    ToolList
    | Tool
    | ToolServerList
    | ToolResult
    | ResourceList
    | ResourceContent
    | PromptList
    | PromptText
    | ToolLogin
    | Approved
)
TOOL_ANSWERS: tuple[type, ...] = (
    ToolList,
    Tool,
    ToolServerList,
    ToolResult,
    ResourceList,
    ResourceContent,
    PromptList,
    PromptText,
    ToolLogin,
    Approved,
)


def _tools(client: Client, options: Options) -> ToolAnswer:
    if options.approve:
        return _approve(client, _named(options, "--approve"))
    if options.login or options.logout:
        return _let_in(client, options)
    if options.read:
        return client.read_resource(_named(options, "--read"), options.read)
    if options.import_from:
        return client.import_tool_servers(options.import_from)
    return client.tool_servers() if options.servers else _listed(client, options)


def _let_in(client: Client, options: Options) -> ToolLogin:
    if options.login:
        return client.log_in_to(_named(options, "--login"))
    return client.log_out_of(_named(options, "--logout"))


def _listed(client: Client, options: Options) -> ToolAnswer:
    if options.resources:
        return client.resources(options.name)
    if options.prompts:
        return client.prompts(options.name)
    if options.name and "." in options.name:
        return _find(client, options.name)
    return client.tools(options.name)


def _tool(client: Client, options: Options) -> ToolAnswer:
    if options.prompt:
        server, name = split_tool_name(options.name)
        return client.prompt(server, name, options.parameters)
    return client.call_tool(
        options.name, arguments_text=options.parameters, timeout=options.timeout
    )


def _named(options: Options, option: str) -> str:
    if not options.name:
        raise errors.UsageError(hint=f"{option} needs a NAME")
    return str(options.name)


def _find(client: Client, name: str) -> Tool:
    server, tool = split_tool_name(name)
    found = next((one for one in client.tools(server).tools if one.name == tool), None)
    if found is None:
        raise errors.ToolNotFound(name)
    return found


def _approve(client: Client, name: str) -> Approved:
    if "." in name:
        tool = _find(client, name)
        client.approve_tool(name, tool.digest)
        return Approved(name=name, what=tool.description)
    server = _server(client, name)
    client.approve_tool(name, server.digest)
    return Approved(name=name, what=server.target)


def _server(client: Client, name: str) -> ToolServer:
    servers = client.tool_servers().servers
    found = next((one for one in servers if one.name == name), None)
    if found is None:
        raise errors.ToolNotFound(name, hint="`opspawn tools --servers` lists them")
    if not found.digest:
        raise errors.UsageError(name, hint="it needs no approval")
    return found


TOOL_COMMANDS: Mapping[str, Callable[[Client, Options], ToolAnswer]] = {
    "tools": _tools,
    "tool": _tool,
}
