"""The views that users' queries look at, made for one query: those that it names, each in the form
that what memory holds calls for. To make all of them takes longer than most queries."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import duckdb

from opspawn_jupyter.stores import queries, rows
from opspawn_jupyter.stores.database import insert
from opspawn_jupyter.stores.memory import Held

#: What may tell of views without naming them.
_LOOKING_AROUND = re.compile(r"show|schema|duckdb_|sqlite_|pg_|query", re.IGNORECASE)
_FORM = re.compile(r"_(held|rewritten)$")


def make(cursor: duckdb.DuckDBPyConnection, held: Held, query: str | None = None) -> None:
    """Make the views that the query may look at, and what these stand on; all without one."""
    for name in named(query) if query is not None else _names():
        lines = _held_rows(name, held)
        cursor.execute(queries.views()[_form(name, held) if lines else name])
        insert(cursor, f"held_{name}", lines)


def named(query: str) -> Sequence[str]:
    """Names of these views, in the order to make them in."""
    if _LOOKING_AROUND.search(query):
        return _names()
    wanted, texts = set[str](), [query]
    while texts:
        text = texts.pop()
        found = {name for name in _names() if name not in wanted and _is_in(name, text)}
        wanted |= found
        texts += [queries.views()[name] for name in found]
    return [name for name in _names() if name in wanted]


def _names() -> Sequence[str]:
    return [name for name in queries.views() if not _FORM.search(name)]


def _is_in(name: str, text: str) -> bool:
    return re.search(rf"\b{name}\b", text, re.IGNORECASE) is not None


def _form(name: str, held: Held) -> str:
    return "tasks_rewritten" if name == "tasks" and held.rewritten else f"{name}_held"


def _held_rows(name: str, held: Held) -> list[Any]:
    """What memory adds to a view."""
    if name == "tasks":
        return [rows.held_row(task) for task in held.tasks]
    if name == "events":
        return [rows.event_row(event) for event in held.events]
    if name == "records":
        return [rows.record_row(record) for record in held.records]
    return []
