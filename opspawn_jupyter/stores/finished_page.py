"""Pages of finished tasks, out of the database.

DuckDB skips row groups by their minimum and maximum, but looks through all of the one that a page
lies in: 122,880 tasks for fifty. So a page in the order of a time is looked for in the first part
of the order alone, which is so long that it would hold some times what is wanted if tasks had come
evenly. Where it holds too few, because they come in bursts or the filters let few pass, a longer
one follows. Only what is asked for is in the statement: to plan it takes longer than to run it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import duckdb

from opspawn_jupyter.model.task import Task, TaskQuery
from opspawn_jupyter.stores import rows
from opspawn_jupyter.stores.chain import compact
from opspawn_jupyter.stores.queries import queries

#: A history of so few is looked through at once.
_FEW = 5_000
#: For how many times the tasks of a page the first part should be long enough; how much longer each
#: next one is.
_AMPLE = 8
_LONGER = 16

#: Conditions by their names, each with its parameters.
Conditions = dict[str, Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True)
class _Order:
    """What is filled in for it."""

    field: str
    type: str
    direction: str
    beyond: str
    within: str

    @property
    def is_descending(self) -> bool:
        return self.direction == "DESC"

    @property
    def is_of_time(self) -> bool:
        return self.type == "TIMESTAMP"


def page(
    cursor: duckdb.DuckDBPyConnection,
    query: TaskQuery,
    beyond: tuple[str, str] | None,
    left_out: AbstractSet[str],
) -> list[Task]:
    """Finished tasks that fit the query, one more than its limit, in its order: those beyond this
    key and id, without those of these ids."""
    order = _order(query.sort)
    conditions = _conditions(query, left_out)
    if beyond is not None:
        conditions["beyond"] = dict(zip(("key", "id"), beyond, strict=True))
    for bound in _bounds(cursor, query, order, beyond):
        within: Conditions = {} if bound is None else {"within": {"bound": bound}}
        found = _fetch(cursor, query, order, conditions | within)
        if bound is None or len(found) > query.limit:
            return [rows.task(record) for (record,) in found]
    raise AssertionError  # the last part is all of it


def _order(sort: str) -> _Order:
    field = sort.removeprefix("-")
    type = "TIMESTAMP" if field.endswith("_at") else "VARCHAR"
    if sort.startswith("-"):
        return _Order(field=field, type=type, direction="DESC", beyond="<", within=">=")
    return _Order(field=field, type=type, direction="ASC", beyond=">", within="<=")


def _conditions(query: TaskQuery, left_out: AbstractSet[str]) -> Conditions:
    """What the query's filters come to."""
    states = {f"state_{number}": state.value for number, state in enumerate(query.states)}
    asked: Mapping[str, tuple[object, Mapping[str, Any]]] = {
        "states": (states, states),
        "kind": (query.kind is not None, {"kind": query.kind}),
        "name": (query.name is not None, {"name": query.name}),
        "parent": (query.parent is not None, {"parent": query.parent}),
        "top": (query.is_top, {}),
        "labels": (query.labels, {"labels": compact(dict(query.labels))}),
        "pruned": (query.pruned is True, {}),
        "not_pruned": (query.pruned is False, {}),
        "dead": (query.is_dead, {}),
        "not_left_out": (left_out, {"left_out": [*left_out]}),
    }
    return {name: parameters for name, (is_asked, parameters) in asked.items() if is_asked}


def _bounds(
    cursor: duckdb.DuckDBPyConnection,
    query: TaskQuery,
    order: _Order,
    beyond: tuple[str, str] | None,
) -> Iterator[datetime | None]:
    """Where the part of the order that is looked through ends; None for all of it."""
    if order.is_of_time:
        statement = queries()["reach_of_finished"].format(field=order.field)
        count, first, last = cursor.execute(statement).fetchall()[0]
        if count > _FEW:
            start = _start(order, first, last, beyond)
            span = (first - last) if order.is_descending else (last - first)
            share = _AMPLE * (query.limit + 1) / count
            while share < 1:
                yield start + share * span
                share *= _LONGER
    yield None


def _start(
    order: _Order, first: datetime, last: datetime, beyond: tuple[str, str] | None
) -> datetime:
    """Where the order begins, or where it is to go on."""
    edge, nearer = (last, min) if order.is_descending else (first, max)
    return nearer(edge, datetime.fromisoformat(beyond[0])) if beyond else edge


def _fetch(
    cursor: duckdb.DuckDBPyConnection, query: TaskQuery, order: _Order, conditions: Conditions
) -> list[Any]:
    texts = [f"({queries()[f'where_{name}']})" for name in conditions or ("any",)]
    states = ", ".join(f"$state_{number}" for number in range(len(query.states)))
    filled = " AND ".join(texts).format(**vars(order), states=states)
    name = "finished_page" if order.is_of_time else "finished_page_by_text"
    statement = queries()[name].format(**vars(order), conditions=filled)
    parameters = {name: value for some in conditions.values() for name, value in some.items()}
    return cursor.execute(statement, {**parameters, "limit": query.limit + 1}).fetchall()
