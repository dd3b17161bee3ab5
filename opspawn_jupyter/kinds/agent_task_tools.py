"""Tools of an agent that are tasks: a notebook, a workflow, another agent. Each is read here for
what the model is told of it; the task is checked when it is submitted."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import PurePath
from typing import Any

from opspawn_jupyter.errors import InvalidRequest
from opspawn_jupyter.kinds import positions
from opspawn_jupyter.kinds.agent_schema import schema
from opspawn_jupyter.kinds.notebook import NotebookKind
from opspawn_jupyter.kinds.workflow_parameters import described
from opspawn_jupyter.model.agent import AGENT, ToolSpec
from opspawn_jupyter.model.notebook import Parameter
from opspawn_jupyter.model.workflow import WORKFLOW

NOTEBOOK = "notebook"
DOOR = "task"
_UNSAFE_IN_NAME = re.compile(r"\W")
_LONGEST_DESCRIPTION = 1_000
_GOAL: Mapping[str, Any] = {
    "type": "object",
    "properties": {"goal": {"type": "string", "minLength": 1}},
    "required": ["goal"],
    "additionalProperties": False,
}

Read = Callable[[str], str]


def task_tool(path: str, read: Read, notebooks: NotebookKind) -> ToolSpec | None:
    """The tool that this file is; None where it is none of the three. Raises ``InvalidRequest``
    or ``NotFound``."""
    match PurePath(path).suffix:
        case ".ipynb":
            return _tool(path, NOTEBOOK, notebooks.described(path), notebooks.parameters(path))
        case ".yaml" | ".yml":
            return _described(path, positions.read(read(path).encode()).value)
    return None


def _described(path: str, document: Any) -> ToolSpec:
    if not isinstance(document, Mapping):
        raise InvalidRequest(path, hint="a tool's file is a YAML mapping")
    description = str(document.get("description", ""))
    if "tasks" not in document:
        return _agent(path, document, description)
    values = document.get("parameters") or {}
    if not isinstance(values, Mapping):
        raise InvalidRequest(path, hint="its parameters are a mapping")
    declared = [described(str(name), value) for name, value in values.items()]
    return _tool(path, WORKFLOW, description, declared)


def _agent(path: str, document: Mapping[str, Any], description: str) -> ToolSpec:
    if "model" not in document:
        raise InvalidRequest(path, hint="it is neither a workflow nor an agent with a model")
    told = f"Give a goal to another agent and get its answer. {description}"
    return ToolSpec(
        name=_name(path),
        description=told.strip(),
        parameters=_GOAL,
        door=DOOR,
        target=path,
        kind=AGENT,
    )


def _tool(path: str, kind: str, description: str, declared: Iterable[Parameter]) -> ToolSpec:
    declared = list(declared)
    told = f"Run the {kind} {PurePath(path).name} and get its outputs. {description}"
    return ToolSpec(
        name=_name(path),
        description=told.strip()[:_LONGEST_DESCRIPTION],
        parameters={
            "type": "object",
            "properties": {one.name: _property(one) for one in declared},
            "required": [one.name for one in declared if not one.default],
            "additionalProperties": False,
        },
        door=DOOR,
        target=path,
        kind=kind,
    )


def _property(declared: Parameter) -> Mapping[str, Any]:
    told = {"description": declared.help} if declared.help else {}
    return {**schema(declared.type), **told, **_default(declared)}


def _default(declared: Parameter) -> Mapping[str, Any]:
    try:
        return {"default": ast.literal_eval(declared.default)} if declared.default else {}
    except (ValueError, SyntaxError):
        return {}


def _name(path: str) -> str:
    return _UNSAFE_IN_NAME.sub("_", PurePath(path).stem)[:64]
