"""What people and other programs send, checked: pydantic at the edges, our records inside."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from opspawn_jupyter.errors import InvalidRequest

T = TypeVar("T")


@cache
def adapter(cls: Any) -> TypeAdapter[Any]:
    """pydantic's view of a record."""
    return TypeAdapter(cls)


def parse(cls: type[T], value: Mapping[str, Any], what: str) -> T:
    """A record from what somebody sent.

    Raises ``InvalidRequest`` that names ``what`` and every field that is wrong.
    """
    of: Any = cls  # mypy holds that a generic class cannot be hashed
    try:
        record: T = adapter(of).validate_python(value)
    except ValidationError as failure:
        faults = failure.errors(include_url=False, include_input=False)
        raise InvalidRequest(
            hint=f"{what}: " + ", ".join(_sentence(fault) for fault in faults),
            detail={"fields": {_place(fault): _sentence(fault) for fault in faults}},
        ) from failure
    return record


def _sentence(fault: ErrorDetails) -> str:
    if fault["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
        return f"there is no field {_place(fault)!r}"
    message = fault["msg"]
    return f"{_place(fault)}: {message[0].lower()}{message[1:]}"


def _place(fault: ErrorDetails) -> str:
    return ".".join(str(part) for part in fault["loc"]) or "body"
