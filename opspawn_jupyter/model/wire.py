"""Records to JSON values and back, by their type hints alone.

``decode`` trusts its input: it reads what our own server or journal wrote. What people send is
checked by pydantic at the edge of the server instead (``server/schemas.py``).
"""

from __future__ import annotations

import json
import math
import types
import typing
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import Enum
from functools import cache
from typing import Any, TypeVar

T = TypeVar("T")

#: Most values are of these; the whole history passes through here, so that counts.
_PLAIN = frozenset({str, int, float, bool, type(None)})


def encode(value: Any) -> Any:
    """The value as JSON: records become objects, times ISO 8601 strings, enums their values."""
    cls: Any = type(value)  # mypy holds that a class cannot be hashed
    if cls in _PLAIN:
        return value
    if names := _names(cls):
        return {name: encode(getattr(value, name)) for name in names}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(key): encode(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [encode(item) for item in value]
    return value


def to_json(value: Any) -> str:
    """The value as JSON text for browsers and programs of any language. Numbers that JSON lacks
    (NaN, infinities) become null."""
    encoded = encode(value)
    try:
        return json.dumps(encoded, allow_nan=False)
    except ValueError:
        return json.dumps(_finite(encoded), allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def decode(cls: type[T], value: Mapping[str, Any]) -> T:
    """A record of ``cls`` from its JSON object. Keys that ``cls`` lacks are passed over, so that
    an older client can read a newer server."""
    record: Any = cls  # mypy holds that a generic class cannot be hashed
    hints = _hints(record)
    known = {name: _read(hints[name], value[name]) for name in hints if name in value}
    return cls(**known)


@cache
def _names(cls: Any) -> tuple[str, ...]:
    """Names of a record's fields; none where the class is no record."""
    return tuple(field.name for field in fields(cls)) if is_dataclass(cls) else ()


@cache
def _hints(cls: Any) -> dict[str, Any]:
    hints = typing.get_type_hints(cls)
    return {field.name: hints[field.name] for field in fields(cls)}


def _read(hint: Any, value: Any) -> Any:
    if value is None:
        return None
    origin = typing.get_origin(hint)
    if origin in (types.UnionType, typing.Union):
        (hint,) = (option for option in typing.get_args(hint) if option is not types.NoneType)
        return _read(hint, value)
    if origin is tuple:
        items = typing.get_args(hint)
        return tuple(_read(items[0], item) for item in value)
    if is_dataclass(hint) and isinstance(hint, type):
        return decode(hint, value)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return hint(value)
    if hint is datetime:
        return datetime.fromisoformat(value)
    return value
