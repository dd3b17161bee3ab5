"""The parameters that a workflow's file declares."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from opspawn_jupyter.errors import ParameterInvalid
from opspawn_jupyter.kinds.findings import Findings
from opspawn_jupyter.kinds.values import bind
from opspawn_jupyter.model.notebook import Parameter

_IDENTIFIER = re.compile(r"[A-Za-z_]\w*")
_DECLARING = frozenset({"type", "default", "description"})


def _is_declaration(value: Any) -> bool:
    return isinstance(value, Mapping) and bool(value) and _DECLARING.issuperset(value)


def default(value: Any) -> Any:
    """What a parameter is where the run gives no value."""
    return value.get("default") if _is_declaration(value) else value


def declared(values: Mapping[str, Any], findings: Findings) -> tuple[Parameter, ...]:
    """The parameters with their types, in the file's order."""
    for name in values:
        if not _IDENTIFIER.fullmatch(name):
            findings.add(("parameters", name), f"a parameter is named as in Python, not {name!r}")
    found = tuple(described(name, value) for name, value in values.items())
    for parameter in found:
        _check_default(parameter, values[parameter.name], findings)
    return found


def _check_default(parameter: Parameter, value: Any, findings: Findings) -> None:
    if not _is_declaration(value) or "default" not in value:
        return
    try:
        bind([parameter], {parameter.name: value["default"]}, {})
    except ParameterInvalid:
        place = ("parameters", parameter.name, "default")
        message = f"the default {value['default']!r} is not of the type {parameter.type}"
        findings.add(place, message)


def described(name: str, value: Any) -> Parameter:
    """A parameter as the file has it: its default, or a declaration."""
    if not _is_declaration(value):
        return Parameter(name=name, type=_type(value), default=repr(value))
    default = repr(value["default"]) if "default" in value else ""
    kind = str(value.get("type") or _type(value.get("default")))
    return Parameter(name=name, type=kind, default=default, help=str(value.get("description", "")))


def _type(value: Any) -> str:
    return "Any" if value is None else type(value).__name__
