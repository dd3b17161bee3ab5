"""The tools of an agent as its task names them, read without running anything of the user's."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path, PurePath
from typing import Any

from opspawn_jupyter.errors import InvalidRequest
from opspawn_jupyter.kinds.agent_schema import schema
from opspawn_jupyter.kinds.agent_task_tools import task_tool
from opspawn_jupyter.kinds.notebook import NotebookKind
from opspawn_jupyter.kinds.parameters import ANY
from opspawn_jupyter.model.agent import AgentRequest, ToolSpec
from opspawn_jupyter.model.tool import tool_patterns

FUNCTION = "function"
#: Entry points of functions that installed packages offer as tools.
INSTALLED = "opspawn_jupyter.agent_tools"
_MODULE = "module:"
_FUNCTION = re.compile(r"(?P<file>[^:]+\.py):(?P<name>\w+)")

#: Reads a file by its path.
Read = Callable[[str], str]


def tools(
    read: Read, request: AgentRequest, notebooks: NotebookKind
) -> tuple[tuple[ToolSpec, ...], tuple[str, ...]]:
    """The functions and tasks that the request names, and the patterns of MCP tools. Raises
    ``InvalidRequest`` or ``NotFound``."""
    found = {text: _found(text, read, request, notebooks) for text in request.tools}
    own = [tool for tool in found.values() if tool]
    patterns = [text if "." in text else f"{text}.*" for text, tool in found.items() if not tool]
    return tuple(own), tool_patterns(patterns)


def _found(
    text: str, read: Read, request: AgentRequest, notebooks: NotebookKind
) -> ToolSpec | None:
    """None for what is a pattern of MCP tools."""
    if match := _FUNCTION.fullmatch(text):
        return _named(read, request, match)
    if installed := entry_points(group=INSTALLED, name=text):
        return _installed(next(iter(installed)))
    return task_tool(_beside(request, text), read, notebooks)


def _beside(request: AgentRequest, path: str) -> str:
    return os.path.join(request.working_directory or "", path)  # noqa: PTH118 (relative)


def _installed(point: EntryPoint) -> ToolSpec:
    """A function of an installed package, read and not imported; packages above it are."""
    found = find_spec(point.module)
    if found is None or found.origin is None or not point.attr.isidentifier():
        raise InvalidRequest(point.name, hint=f"{point.value} is no function of a Python module")
    source = Path(found.origin).read_text(encoding="utf-8")
    return replace(_function(source, point.module, point.attr), target=f"{_MODULE}{point.module}")


def _named(read: Read, request: AgentRequest, found: re.Match[str]) -> ToolSpec:
    return _function(read(_beside(request, found["file"])), found["file"], found["name"])


def imports(functions: Iterable[ToolSpec], patterns: Sequence[str]) -> str:
    """Python source that makes the tools known to the kernel."""
    lines = ["from opspawn_jupyter import mcp"] if patterns else []
    directories = set()
    for one in functions:
        if one.target.startswith(_MODULE):
            lines.append(f"from {one.target.removeprefix(_MODULE)} import {one.name}")
            continue
        path = PurePath(one.target)
        if path.parent != PurePath():
            directories.add(path.parent.as_posix())
        lines.append(f"from {path.stem} import {one.name}")
    if directories:
        places = [f"sys.path.insert(0, {directory!r})" for directory in sorted(directories)]
        lines = ["import sys", "", *places, "", *lines]
    return "\n".join(lines)


def _function(source: str, file: str, name: str) -> ToolSpec:
    try:
        body = ast.parse(source).body
    except SyntaxError as failure:
        hint = f"it does not parse: {failure.msg}, line {failure.lineno}"
        raise InvalidRequest(file, hint=hint) from failure
    for statement in body:
        if isinstance(statement, ast.FunctionDef) and statement.name == name:
            return ToolSpec(
                name=name,
                description=ast.get_docstring(statement) or "",
                parameters=_parameters(statement.args, f"{file}:{name}"),
                returns=_schema(statement.returns) if statement.returns else None,
                door=FUNCTION,
                target=file,
            )
    raise InvalidRequest(f"{file}:{name}", hint="the file defines no such function")


def _parameters(arguments: ast.arguments, name: str) -> Mapping[str, Any]:
    if arguments.posonlyargs or arguments.vararg or arguments.kwarg:
        hint = "a tool's function takes named arguments only: no *args, **kwargs or /"
        raise InvalidRequest(name, hint=hint)
    defaults = len(arguments.args) - len(arguments.defaults)
    required = [argument.arg for argument in arguments.args[:defaults]]
    for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        if default is None:
            required.append(argument.arg)
    everything = [*arguments.args, *arguments.kwonlyargs]
    return {
        "type": "object",
        "properties": {one.arg: _schema(one.annotation) for one in everything},
        "required": required,
        "additionalProperties": False,
    }


def _schema(annotation: ast.expr | None) -> Mapping[str, Any]:
    return schema(ast.unparse(annotation) if annotation is not None else ANY)
