"""What DuckDB gives as values of JSON."""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

#: Above this a JSON reader may round an integer (RFC 8259, section 6).
_LARGEST_EXACT = 2**53


def json_value(value: Any) -> Any:
    """Times as ISO 8601 in UTC, intervals as seconds, blobs as base64, decimals as numbers.

    NaN and infinity have no JSON and become None; integers beyond 2**53 become text.
    """
    convert = _CONVERSIONS.get(type(value))
    return convert(value) if convert else str(value)


def _integer(value: int) -> int | str:
    return value if abs(value) <= _LARGEST_EXACT else str(value)


def _number(value: float | Decimal) -> float | None:
    return float(value) if math.isfinite(value) else None


def _moment(value: datetime) -> str:
    aware = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    return aware.isoformat()


def _mapping(value: Mapping[Any, Any]) -> dict[str, Any]:
    return {str(key): json_value(item) for key, item in value.items()}


def _list(value: list[Any] | tuple[Any, ...]) -> list[Any]:
    return [json_value(item) for item in value]


def _same(value: Any) -> Any:
    return value


_CONVERSIONS: Mapping[type, Callable[[Any], Any]] = {
    type(None): _same,
    bool: _same,
    str: _same,
    int: _integer,
    float: _number,
    Decimal: _number,
    datetime: _moment,
    date: date.isoformat,
    time: time.isoformat,
    timedelta: timedelta.total_seconds,
    bytes: lambda value: base64.b64encode(value).decode(),
    bytearray: lambda value: base64.b64encode(value).decode(),
    UUID: str,
    dict: _mapping,
    list: _list,
    tuple: _list,
}
