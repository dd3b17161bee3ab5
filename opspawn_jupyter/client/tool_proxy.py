"""Tools as functions: ``from opspawn_jupyter import mcp; mcp.time.convert_time(...)``.

In the kernel of a task the task's own key opens the door, to its own tools; elsewhere whatever
opens the Jupyter server. Nothing of MCP is needed here: the server speaks it.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from opspawn_jupyter.client import tool_text
from opspawn_jupyter.client.client import AsyncClient, Client, connect
from opspawn_jupyter.client.discovery import Server
from opspawn_jupyter.errors import ToolNotAllowed, ToolNotFound
from opspawn_jupyter.model.tool import (
    Prompt,
    PromptText,
    Resource,
    ResourceContent,
    Tool,
    ToolResult,
)
from opspawn_jupyter.model.work import TASK_TOKEN_VARIABLE, TASK_URL_VARIABLE, TASK_VARIABLE


class ToolFunction:
    """One tool, to be called with its arguments by name or in the order of its signature."""

    def __init__(self, client: Client, tool: Tool) -> None:
        self._client = client
        self.tool = tool
        self.__name__ = tool.name
        self.__doc__ = tool_text.tool_card(tool)
        self.__signature__ = _signature(tool)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The tool's value: its structured one, else its text; a ``ToolResult`` where it gives
        images or other parts. Raises ``ToolFailed`` where it says that it failed."""
        bound = self.__signature__.bind(*args, **kwargs)
        return self.call({**bound.arguments, **bound.arguments.pop(_MORE, {})})

    def call(self, arguments: Mapping[str, Any]) -> Any:
        """As calling it, with arguments whatever their names."""
        result = self._client.call_tool(self.tool.full_name, arguments)
        return _value(result)

    def __repr__(self) -> str:
        return f"<tool {tool_text.signature(self.tool)}>"


class ToolNamespace:
    """The tools of one server, as attributes; ``server["a-name"]`` for those with other names."""

    def __init__(self, client: Client, server: str, *, waits: bool) -> None:
        self._client = client
        self._server = server
        self._waits = waits
        self._tools: Mapping[str, Tool] | None = None

    def resources(self) -> Sequence[Resource]:
        """What the server lets read."""
        return self._client.resources(self._server).resources

    def read_resource(self, uri: str) -> ResourceContent:
        """What lies at the address."""
        return self._client.read_resource(self._server, uri)

    def prompts(self) -> Sequence[Prompt]:
        """Texts that the server can write."""
        return self._client.prompts(self._server).prompts

    def prompt(self, name: str, **arguments: str) -> PromptText:
        """One of them, written with the arguments."""
        return self._client.prompt(self._server, name, arguments)

    def __getitem__(self, name: str) -> ToolFunction:
        found = self._known().get(name)
        if found is None:
            self._tools = None  # the server may have new ones
            found = self._known().get(name)
        if found is None:
            raise ToolNotFound(f"{self._server}.{name}")
        return ToolFunction(self._client, found)

    def __getattr__(self, name: str) -> ToolFunction:
        if name.startswith("_"):
            raise AttributeError(name)
        known = {_attribute(tool): tool for tool in self._known()}
        return self[known.get(name, name)]

    def __dir__(self) -> list[str]:
        own = [name for name in vars(ToolNamespace) if not name.startswith("_")]
        return [*(_attribute(name) for name in self._known()), *own]

    def __iter__(self) -> Iterator[str]:
        return iter(self._known())

    def __repr__(self) -> str:
        return f"<tools of {self._server}: {', '.join(self._known()) or 'none'}>"

    def _known(self) -> Mapping[str, Tool]:
        if self._tools is None:
            listed = self._client.tools(self._server, wait=self._waits)
            self._tools = {tool.name: tool for tool in listed.tools}
        return self._tools


class Tools:
    """The MCP servers that the Jupyter server is connected to, as attributes."""

    def __init__(self) -> None:
        self._client: Client | None = None
        self._pid = 0
        self._servers: dict[str, ToolNamespace] = {}

    def __getitem__(self, name: str) -> ToolNamespace:
        client = self._connected()
        if name not in self._servers:
            # A task waits for a login as it waits for an answer; a person is told to make it.
            self._servers[name] = ToolNamespace(client, name, waits=TASK_VARIABLE in os.environ)
        return self._servers[name]

    def __getattr__(self, name: str) -> ToolNamespace:
        if name.startswith("_"):
            raise AttributeError(name)
        known = {_attribute(server): server for server in self._names()}
        return self[known.get(name, name)]

    def __dir__(self) -> list[str]:
        return [_attribute(name) for name in self._names()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names())

    def __repr__(self) -> str:
        return f"<tool servers: {', '.join(self._names()) or 'none'}>"

    def _names(self) -> list[str]:
        return [server.name for server in self._connected().tool_servers().servers]

    def _connected(self) -> Client:
        """A client of this process: a forked one must not use its parent's."""
        if self._client is None or self._pid != os.getpid():
            self._client, self._pid, self._servers = _connect(), os.getpid(), {}
        return self._client


def _connect() -> Client:
    token, url = os.environ.get(TASK_TOKEN_VARIABLE), os.environ.get(TASK_URL_VARIABLE)
    if token and url:
        # A server of this machine may have made its own certificate.
        return Client(AsyncClient(Server(url=url, token=token, verify=False)))
    if os.environ.get(TASK_VARIABLE):
        raise ToolNotAllowed(hint="this task declares no tools; run it with --tool 'SERVER.*'")
    return connect()


def _attribute(name: str) -> str:
    """The name as Python can write it after a dot."""
    return "".join(letter if letter.isalnum() else "_" for letter in name)


#: Collects what a schema allows beyond the names that it knows.
_MORE = "more"


def _signature(tool: Tool) -> inspect.Signature:
    properties = tool.input_schema.get("properties") or {}
    required = tool.input_schema.get("required") or ()
    names = [name for name in properties if name.isidentifier()]
    ordered = sorted(names, key=lambda name: name not in required)
    parameters = [
        inspect.Parameter(
            name,
            inspect.Parameter.POSITIONAL_OR_KEYWORD,
            default=inspect.Parameter.empty if name in required else None,
        )
        for name in ordered
    ]
    if tool.input_schema.get("additionalProperties"):
        parameters.append(inspect.Parameter(_MORE, inspect.Parameter.VAR_KEYWORD))
    return inspect.Signature(parameters)


def _value(result: ToolResult) -> Any:
    is_plain = all(part.get("type") == "text" for part in result.content)
    return result.value if is_plain or result.structured is not None else result


mcp = Tools()
