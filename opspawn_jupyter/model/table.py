"""The answer to a SQL query."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Column:
    """Name and DuckDB type of a column."""

    name: str
    type: str


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows of JSON values. Times are ISO 8601 strings in UTC; blobs are base64."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Any, ...], ...]
    #: There were more rows than the server hands out.
    truncated: bool = False
