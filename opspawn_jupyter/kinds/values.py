"""Values for a notebook's parameters, checked against its declarations and converted.

A value of the API is already of a JSON type and must fit strictly: the text "5" is not a number.
A value from a command line is text, and is read by the declared type: "5" is a number where the
notebook wants one and text where it wants text.
"""

from __future__ import annotations

import ast
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from opspawn_jupyter.errors import (
    InvalidRequest,
    ParameterInvalid,
    ParameterMissing,
    ParameterUnknown,
)
from opspawn_jupyter.kinds.meant import meant
from opspawn_jupyter.kinds.parameters import ANY, type_of
from opspawn_jupyter.model.notebook import Parameter


def bind(
    declared: Iterable[Parameter], values: Mapping[str, Any], texts: Mapping[str, str]
) -> dict[str, Any]:
    """JSON values by parameter name, in the order given.

    Raises ``ParameterUnknown``, ``ParameterInvalid`` or ``ParameterMissing``; where several are
    wrong, the first of these, which tells all. Its detail has a sentence for each, as ``fields``.
    """
    known = {parameter.name: parameter for parameter in declared}
    bound: dict[str, Any] = {}
    problems = [*_given_twice(values, texts), *_unknown(known, [*values, *texts])]
    for read, given in ((_checked, values), (_read, texts)):
        for name in given.keys() & known.keys():
            try:
                bound[name] = read(known[name], given[name])
            except ParameterInvalid as problem:
                problems.append(problem)
    problems += _missing(known.values(), {**values, **texts})
    if problems:
        raise _together(problems)
    return {name: bound[name] for name in (*values, *texts)}


def _together(problems: Sequence[InvalidRequest]) -> InvalidRequest:
    """The first, which tells them all."""
    fields: dict[str, str] = {}
    for problem in problems:
        fields = {**problem.detail["fields"], **fields}
    message = " ".join(problem.message for problem in problems)
    return type(problems[0]).restore(message, {**problems[0].detail, "fields": fields})


def _given_twice(values: Mapping[str, Any], texts: Mapping[str, str]) -> Iterator[ParameterInvalid]:
    for name in sorted(values.keys() & texts.keys()):
        yield _about(name, ParameterInvalid(name, hint="it was given twice"))


def _unknown(known: Mapping[str, Parameter], given: Iterable[str]) -> Iterator[ParameterUnknown]:
    unknown = [name for name in dict.fromkeys(given) if name not in known]
    if not unknown:
        return
    listed = ", ".join(f"{parameter.name} ({parameter.type})" for parameter in known.values())
    hint = f"it declares {listed}" if known else "it has no cell tagged 'parameters'"
    names = list(known)
    fields = {
        name: ParameterUnknown(name, hint=meant(name, names) + hint).message for name in unknown
    }
    guess = meant(unknown[0], names) if len(unknown) == 1 else ""
    detail = {"known": names, "fields": fields}
    yield ParameterUnknown(", ".join(unknown), hint=guess + hint, detail=detail)


def _missing(known: Iterable[Parameter], given: Mapping[str, Any]) -> Iterator[ParameterMissing]:
    missing = [item.name for item in known if not item.default and item.name not in given]
    if not missing:
        return
    fields = {name: _missed(name).message for name in missing}
    yield _missed(*missing, detail={"fields": fields})


def _missed(*names: str, detail: Mapping[str, Any] | None = None) -> ParameterMissing:
    return ParameterMissing(", ".join(names), hint=f"give it with -p {names[0]}=…", detail=detail)


T = TypeVar("T", bound=InvalidRequest)


def _about(name: str, problem: T) -> T:
    """The problem, which says by itself whose it is."""
    problem.detail["fields"] = {name: problem.message}
    return problem


def _checked(parameter: Parameter, value: Any) -> Any:
    """A JSON value that fits the type strictly."""
    adapter = _adapter(parameter)
    try:
        return _plain(adapter, adapter.validate_json(json.dumps(value), strict=True))
    except (ValidationError, ValueError) as failure:
        raise _misfit(parameter, value) from failure


def _read(parameter: Parameter, text: str) -> Any:
    """A typed-in value, read by the declared type: JSON first, then a Python literal, then text.

    Where text itself fits the type, text it stays: "007" for a ``str`` is not the number 7.
    """
    adapter = _adapter(parameter)
    if parameter.type == ANY:
        return _literal(text)
    for attempt in (_as_none, _as_text, _as_json, _as_literal, _as_lax):
        try:
            return _plain(adapter, attempt(adapter, text))
        except (ValidationError, ValueError, SyntaxError):
            continue
    raise _misfit(parameter, text)


def _as_none(adapter: TypeAdapter[Any], text: str) -> Any:
    if text not in ("None", "null"):
        raise ValueError(text)
    return adapter.validate_python(None, strict=True)


def _as_text(adapter: TypeAdapter[Any], text: str) -> Any:
    return adapter.validate_python(text, strict=True)


def _as_json(adapter: TypeAdapter[Any], text: str) -> Any:
    return adapter.validate_json(text, strict=True)


def _as_literal(adapter: TypeAdapter[Any], text: str) -> Any:
    return adapter.validate_python(ast.literal_eval(text), strict=True)


def _as_lax(adapter: TypeAdapter[Any], text: str) -> Any:
    return adapter.validate_strings(text)


def _literal(text: str) -> Any:
    """Undeclared type: a Python literal where it is one, as papermill reads its own ``-p``."""
    try:
        value = ast.literal_eval(text)
        json.dumps(value, allow_nan=False)
    except (ValueError, SyntaxError, TypeError):
        return text
    return value


def _adapter(parameter: Parameter) -> TypeAdapter[Any]:
    return _adapter_of(parameter.type)


@lru_cache(maxsize=256)
def _adapter_of(declared_type: str) -> TypeAdapter[Any]:
    """Made once: a large workflow asks for few types many times."""
    return TypeAdapter(type_of(Parameter(name="", type=declared_type)))


def _plain(adapter: TypeAdapter[Any], value: Any) -> Any:
    """The value as JSON has it. Raises ``ValueError`` for what JSON lacks (NaN, infinity)."""
    plain = adapter.dump_python(value, mode="json")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(value)
    json.dumps(plain, allow_nan=False)
    return plain


def _misfit(parameter: Parameter, value: Any) -> ParameterInvalid:
    problem = ParameterInvalid(
        f"{parameter.name}={value}",
        hint=f"what is declared is {parameter.name}: {parameter.type}"
        + (f" = {parameter.default}" if parameter.default else ""),
        detail={"parameter": parameter.name, "type": parameter.type},
    )
    return _about(parameter.name, problem)
