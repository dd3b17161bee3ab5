"""Users' queries: one statement that only reads, on a connection of its own, for a limited time.

Several things each refuse what a query must not do: only ``EXPLAIN`` and ``SELECT`` are taken
(for DuckDB ``FROM``, ``VALUES``, ``WITH``, ``DESCRIBE``, ``SHOW`` and ``SUMMARIZE`` are of it); the
transaction is read-only; the instance reaches no files, network or extensions (``database.py``).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import duckdb

from opspawn_jupyter.errors import QueryInvalid
from opspawn_jupyter.model.table import Column, Table
from opspawn_jupyter.stores import views
from opspawn_jupyter.stores.database import first_line
from opspawn_jupyter.stores.json_values import json_value
from opspawn_jupyter.stores.memory import Held
from opspawn_jupyter.stores.watchdog import Watchdog

_READING = {duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN}
_ZONED = "WITH TIME ZONE"
_FETCH = 1_000


class UnknownName(Exception):
    """The query names what is not there; with all views DuckDB says which name is the nearest."""


class UserQuery:
    """A query with its limits, on a cursor in a read-only transaction."""

    def __init__(
        self, query: str, watchdog: Watchdog, *, timeout_seconds: float, max_rows: int
    ) -> None:
        self._query = query
        self._watchdog = watchdog
        self._timeout_seconds = timeout_seconds
        self._max_rows = max_rows
        #: Set it to have all views made, also those that the query does not seem to name.
        self.sees_all = False

    def answer(self, cursor: duckdb.DuckDBPyConnection, held: Held) -> Table:
        """The table, with what memory holds beside what the file has. Raises ``QueryInvalid``,
        ``UnknownName`` where only some of the views were there."""
        try:
            _check(cursor.extract_statements(self._query))
            views.make(cursor, held, None if self.sees_all else self._query)
            return self._within_time(cursor)
        except duckdb.CatalogException as failure:
            if self.sees_all:
                raise QueryInvalid(hint=f"DuckDB says: {_said(failure)}") from failure
            raise UnknownName from failure
        except duckdb.InterruptException as failure:
            raise self._too_long() from failure
        except duckdb.Error as failure:
            raise QueryInvalid(hint=f"DuckDB says: {_said(failure)}") from failure

    def _within_time(self, cursor: duckdb.DuckDBPyConnection) -> Table:
        deadline = time.monotonic() + self._timeout_seconds
        with self._watchdog.watching(self._timeout_seconds, cursor.interrupt):
            _execute(cursor, self._query)
            return self._table(cursor, deadline)

    def _table(self, cursor: duckdb.DuckDBPyConnection, deadline: float) -> Table:
        columns = tuple(Column(name=name, type=str(type)) for name, type in _columns(cursor))
        lines: list[tuple[Any, ...]] = []
        # One row more than is handed out tells whether there are more.
        while len(lines) <= self._max_rows:
            part = cursor.fetchmany(min(_FETCH, self._max_rows + 1 - len(lines)))
            if not part:
                break
            lines += [tuple(json_value(value) for value in line) for line in part]
            if time.monotonic() > deadline:
                raise self._too_long()
        return Table(
            columns=columns,
            rows=tuple(lines[: self._max_rows]),
            truncated=len(lines) > self._max_rows,
        )

    def _too_long(self) -> QueryInvalid:
        return QueryInvalid(
            hint=f"it ran longer than {self._timeout_seconds:g} seconds and was stopped; "
            "narrow it with WHERE or LIMIT"
        )


def _check(statements: Sequence[duckdb.Statement]) -> None:
    if len(statements) != 1:
        raise QueryInvalid(hint=f"give one statement, not {len(statements)}")
    (statement,) = statements
    if statement.type not in _READING:
        raise QueryInvalid(statement.type.name, hint="only SELECT and EXPLAIN are possible")
    if statement.named_parameters:
        raise QueryInvalid(hint="parameters ($name or ?) cannot be used")


def _execute(cursor: duckdb.DuckDBPyConnection, query: str) -> None:
    """Run it so that every value of the result can be read.

    duckdb hands out times that know their zone only where pytz is installed, so columns of such
    a type are cast to plain ones, which are in UTC because the instance's zone is.
    """
    cursor.execute(query)
    columns = _columns(cursor)
    if not any(_ZONED in type for _, type in columns):
        return
    names = ", ".join(f"c{number}" for number in range(len(columns)))
    casts = ", ".join(
        f"CAST(c{number} AS {type.replace(_ZONED, '')}) AS {_quoted(name)}"
        for number, (name, type) in enumerate(columns)
    )
    escaped = query.replace("'", "''")
    # The query passed every check above; here it is only wrapped.
    cursor.execute(f"SELECT {casts} FROM query('{escaped}') AS q({names})")  # noqa: S608


def _columns(cursor: duckdb.DuckDBPyConnection) -> list[tuple[str, str]]:
    return [(column[0], str(column[1])) for column in cursor.description or ()]


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _said(failure: duckdb.Error) -> str:
    """What is wrong, and which name may have been meant."""
    lines = str(failure).splitlines()
    nearest = [line for line in lines if line.startswith("Did you mean")]
    return " ".join([first_line(failure), *nearest[:1]])
