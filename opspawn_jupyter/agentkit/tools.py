"""The tools of one agent: what the model is told of them, and whether a call of one is right."""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import jsonschema

from opspawn_jupyter.model.agent import (
    ANSWER_TOOL,
    CODE_TOOL,
    PLAN_TOOL,
    AgentSpec,
    Permission,
    ToolSpec,
)
from opspawn_jupyter.model.conversation import Call, Tool, Usage

_STRICTEST_FIRST = (Permission.DENY, Permission.ASK, Permission.ALLOW)


class Mistake(Exception):
    """The model called what it may not, or wrongly; the message is for it to read."""


@dataclass(frozen=True, kw_only=True)
class Checked:
    """A call that can be carried out."""

    call: Call
    spec: ToolSpec
    arguments: Mapping[str, Any]
    #: Of the cell that the call becomes.
    cell_id: str


@dataclass(frozen=True, kw_only=True)
class Result:
    """What came of a call."""

    #: For the model to read.
    text: str
    #: Of the cell that the call became, as the notebook format has them.
    outputs: tuple[Mapping[str, Any], ...] = ()
    has_failed: bool = False
    #: Of the cell, where it was made from what came of the call.
    source: str = ""
    #: By what the call set going elsewhere.
    usage: Usage = field(default_factory=Usage)


class Door(Protocol):
    """Carries calls out. Where the result is known from the tape, it is only shown again."""

    async def use(self, checked: Checked, recorded: Result | None) -> Result:
        """Called for each call of a tool that has this door."""


class ToolRegistry:
    """Tools by name, each with who carries it out."""

    def __init__(self, specs: Iterable[ToolSpec], doors: Mapping[str, Door]) -> None:
        self._specs = {spec.name: spec for spec in specs}
        self._doors = doors

    @property
    def names(self) -> tuple[str, ...]:
        """All of them."""
        return tuple(self._specs)

    def described(self, names: Sequence[str]) -> tuple[Tool, ...]:
        """These, as the model is told of them."""
        chosen = [self._specs[name] for name in names]
        return tuple(
            Tool(name=spec.name, description=spec.description, parameters=spec.parameters)
            for spec in chosen
        )

    def checked(self, call: Call, offered: Sequence[str], cell_id: str) -> Checked:
        """The call with its arguments read. Raises ``Mistake``."""
        if call.name not in offered:
            known = ", ".join(offered)
            raise Mistake(f"there is no tool {call.name!r} to be called now; there are: {known}")
        spec = self._specs[call.name]
        arguments = _arguments(call)
        check(arguments, spec.parameters, f"arguments of {call.name}")
        return Checked(call=call, spec=spec, arguments=arguments, cell_id=cell_id)

    async def use(self, checked: Checked, recorded: Result | None) -> Result:
        """Carry it out."""
        return await self._doors[checked.spec.door].use(checked, recorded)


def check(value: Any, schema: Mapping[str, Any], what: str) -> None:
    """Raise ``Mistake`` where the value does not fit the schema."""
    validator = jsonschema.validators.validator_for(schema)(schema)
    faults = sorted(validator.iter_errors(value), key=lambda fault: list(fault.absolute_path))
    if faults:
        told = "; ".join(_sentence(fault) for fault in faults[:3])
        raise Mistake(f"{what}: {told}")


def permission(spec: AgentSpec, tool: ToolSpec) -> Permission:
    """What the person who submitted the task lets become of calls of the tool."""
    if tool.name in (PLAN_TOOL, ANSWER_TOOL):
        return Permission.ALLOW  # they touch nothing outside of the run
    fitting = {
        given
        for pattern, given in spec.permissions.items()
        if fnmatch.fnmatchcase(tool.name, pattern) or fnmatch.fnmatchcase(tool.target, pattern)
    }
    return next((one for one in _STRICTEST_FIRST if one in fitting), Permission.ALLOW)


def own_tools(spec: AgentSpec) -> tuple[ToolSpec, ...]:
    """Those that every agent has, with the one for its answer where that has a schema."""
    if spec.output_schema is None:
        return (_CODE, _PLAN)
    return (_CODE, _PLAN, _answer_tool(spec.output_schema))


def _answer_tool(schema: Mapping[str, Any]) -> ToolSpec:
    is_object = schema.get("type") == "object"
    wrapped = {
        "type": "object",
        "properties": {"answer": schema},
        "required": ["answer"],
        "additionalProperties": False,
    }
    return ToolSpec(
        name=ANSWER_TOOL,
        description="Give the final answer. Call it alone, and last.",
        parameters=schema if is_object else wrapped,
        door="answer",
    )


def _arguments(call: Call) -> Mapping[str, Any]:
    try:
        arguments = json.loads(call.arguments or "{}")
    except ValueError as failure:
        raise Mistake(f"the arguments of {call.name} are not JSON: {failure}") from failure
    if not isinstance(arguments, dict):
        raise Mistake(f"the arguments of {call.name} must be a JSON object")
    return arguments


def _sentence(fault: jsonschema.ValidationError) -> str:
    place = ".".join(str(part) for part in fault.absolute_path)
    message = str(fault.message)[:300]
    return f"{place}: {message}" if place else message


_CODE = ToolSpec(
    name=CODE_TOOL,
    description=(
        "Run Python code in the notebook's kernel; it becomes a cell. Variables are kept from one "
        "call to the next. What it prints and the value of its last line come back."
    ),
    parameters={
        "type": "object",
        "properties": {"code": {"type": "string"}},
        "required": ["code"],
        "additionalProperties": False,
    },
    door="code",
)
_PLAN = ToolSpec(
    name=PLAN_TOOL,
    description="Write down the steps of the plan, and how many of them are done from the first.",
    parameters={
        "type": "object",
        "properties": {
            "steps": {"type": "array", "items": {"type": "string"}, "minItems": 1},
            "done": {"type": "integer", "minimum": 0},
        },
        "required": ["steps"],
        "additionalProperties": False,
    },
    door="plan",
)
