"""A tool's arguments: read as people type them, and checked against the tool's schema."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, best_match
from jsonschema.validators import extend
from referencing import Registry
from referencing.exceptions import Unresolvable

from opspawn_jupyter.errors import ToolArgumentsInvalid, ToolServerFault
from opspawn_jupyter.model.tool import Tool

#: Without regular expressions: a server's own could take for ever, and the server checks anyway.
_Validator: Any = extend(Draft202012Validator, {"pattern": None, "patternProperties": None})


def typed(tool: Tool, texts: Mapping[str, str]) -> dict[str, Any]:
    """Each text as a value of the type that the tool's schema gives its name."""
    properties = tool.input_schema.get("properties", {})
    return {name: _value(name, text, properties.get(name, {})) for name, text in texts.items()}


def _value(name: str, text: str, schema: Any) -> Any:
    kind = schema.get("type") if isinstance(schema, Mapping) else None
    if kind == "string":
        return text
    try:
        return json.loads(text)
    except ValueError as failure:
        if kind in ("integer", "number", "boolean", "object", "array"):
            raise ToolArgumentsInvalid(text, hint=f"{name} must be of type {kind}") from failure
        return text


def without_nothing(tool: Tool, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments without those that are null where no null may be, and need not be there: as
    Python's callers leave them out."""
    required = tool.input_schema.get("required", ())
    properties = tool.input_schema.get("properties", {})

    def is_nothing(name: str) -> bool:
        kind = properties.get(name, {}).get("type")
        return name not in required and isinstance(kind, str) and kind != "null"

    return {
        name: value
        for name, value in arguments.items()
        if value is not None or not is_nothing(name)
    }


def check(tool: Tool, arguments: Mapping[str, Any]) -> None:
    """Raises ``ToolArgumentsInvalid`` with what is wrong first, ``ToolServerFault`` where the
    tool's own schema is none."""
    validator = _validator(_Schema(tool))
    try:
        fault = best_match(validator.iter_errors(dict(arguments)))
    except (Unresolvable, RecursionError) as failure:
        raise ToolServerFault(tool.full_name, hint="its schema cannot be used") from failure
    if fault is not None:
        place = ".".join(str(part) for part in fault.absolute_path)
        said = f"{place}: {fault.message}" if place else fault.message
        raise ToolArgumentsInvalid(tool.full_name, hint=said[:500])


class _Schema:
    """A tool's schema, known by what was said of the whole tool."""

    def __init__(self, tool: Tool) -> None:
        self.said = tool.input_schema
        self._name = tool.digest or json.dumps(self.said, sort_keys=True)

    def __hash__(self) -> int:
        return hash(self._name)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Schema) and other._name == self._name


@lru_cache(maxsize=512)
def _validator(schema: _Schema) -> Any:
    try:
        _Validator.check_schema(schema.said)
    except SchemaError as failure:
        raise ToolServerFault(hint=f"its schema is none: {failure.message[:200]}") from failure
    return _Validator(dict(schema.said), registry=Registry())  # references stay in the document
