"""The tools of an agent as its task names them, read without running anything of the user's."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import PurePath
from typing import Any

from pydantic import TypeAdapter

from opspawn_jupyter.errors import InvalidRequest
from opspawn_jupyter.kinds.parameters import ANY, type_of
from opspawn_jupyter.model.agent import AgentRequest, ToolSpec
from opspawn_jupyter.model.notebook import Parameter
from opspawn_jupyter.model.tool import tool_patterns

FUNCTION = "function"
_FUNCTION = re.compile(r"(?P<file>[^:]+\.py):(?P<name>\w+)")

#: Reads a file by its path.
Read = Callable[[str], str]


def tools(read: Read, request: AgentRequest) -> tuple[tuple[ToolSpec, ...], tuple[str, ...]]:
    """The functions that the request names, and the patterns of MCP tools. Raises
    ``InvalidRequest`` or ``NotFound``."""
    found = {text: _FUNCTION.fullmatch(text) for text in request.tools}
    functions = [_named(read, request, match) for match in found.values() if match]
    patterns = [text if "." in text else f"{text}.*" for text, match in found.items() if not match]
    return tuple(functions), tool_patterns(patterns)


def _named(read: Read, request: AgentRequest, found: re.Match[str]) -> ToolSpec:
    path = os.path.join(request.working_directory or "", found["file"])  # noqa: PTH118 (relative)
    return _function(read(path), found["file"], found["name"])


def imports(functions: Iterable[ToolSpec], patterns: Sequence[str]) -> str:
    """Python source that makes the tools known to the kernel."""
    lines = ["from opspawn_jupyter import mcp"] if patterns else []
    directories = set()
    for one in functions:
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
    """JSON Schema of an annotation; of one that tells nothing, everything fits."""
    text = ast.unparse(annotation) if annotation is not None else ANY
    schema: Mapping[str, Any] = TypeAdapter(type_of(Parameter(name="", type=text))).json_schema()
    return schema
