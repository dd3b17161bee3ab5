"""Pages of tasks, in one order whether a task lies in memory or in the database.

A task's position is ``(zone, key, id)``. The zone keeps tasks that have no value for the field
(unfinished ones, by ``finished_at``) at the end of both orders; keys are strings that compare as
their values do. The cursor of a page is the position of its last task.
"""

from __future__ import annotations

import base64
import heapq
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import duckdb

from opspawn_jupyter.errors import InvalidRequest
from opspawn_jupyter.model.task import SORT_FIELDS, Task, TaskPage, TaskQuery
from opspawn_jupyter.stores import rows
from opspawn_jupyter.stores.chain import compact
from opspawn_jupyter.stores.queries import queries


class Position(NamedTuple):
    """Where a task stands in an order."""

    zone: int
    key: str
    id: str


@dataclass(frozen=True)
class Order:
    """A field and a direction."""

    field: str
    is_descending: bool

    @classmethod
    def parse(cls, sort: str) -> Order:
        """From the query's ``sort``. Raises ``InvalidRequest`` for an unknown field."""
        field = sort.removeprefix("-")
        if field not in SORT_FIELDS:
            raise InvalidRequest(sort, hint=f"sort by one of {', '.join(SORT_FIELDS)}")
        return cls(field, sort.startswith("-"))

    def position(self, task: Task) -> Position:
        """Where the task stands; the positions of a descending order fall."""
        value = getattr(task, self.field)
        zone = (value is None) ^ self.is_descending
        return Position(int(zone), _key(value), task.id)

    def sorted(self, tasks: Iterable[Task]) -> list[Task]:
        """The tasks in this order."""
        return sorted(tasks, key=self.position, reverse=self.is_descending)

    def is_beyond(self, position: Position, last: Position) -> bool:
        """Whether the position comes after the last one."""
        return position < last if self.is_descending else position > last

    def is_past_values(self, last: Position) -> bool:
        """Whether only tasks without a value follow; the database has none of these."""
        return bool(last.zone) ^ self.is_descending


def page(cursor: duckdb.DuckDBPyConnection, held: Sequence[Task], query: TaskQuery) -> TaskPage:
    """The page that the query asks for, out of the database and the tasks held in memory.

    Raises ``InvalidRequest`` for an unknown sort field or a cursor of another order.
    """
    order = Order.parse(query.sort)
    last = _last(query)
    candidates = [task for task in held if fits(task, query)]
    if last is not None:
        candidates = [task for task in candidates if order.is_beyond(order.position(task), last)]
    found = _found(cursor, query, order, last)
    merged = heapq.merge(
        order.sorted(candidates), found, key=order.position, reverse=order.is_descending
    )
    tasks = [task for task, _ in zip(merged, range(query.limit + 1), strict=False)]
    return _page(tasks, query, order)


def fits(task: Task, query: TaskQuery) -> bool:
    """Whether the task passes the query's filters."""
    return (
        (not query.states or task.state in query.states)
        and (query.kind is None or task.kind == query.kind)
        and (query.name is None or task.name.startswith(query.name))
        and query.labels.items() <= task.labels.items()
    )


def _page(tasks: Sequence[Task], query: TaskQuery, order: Order) -> TaskPage:
    shown = tuple(tasks[: query.limit])
    has_more = len(tasks) > len(shown)
    return TaskPage(
        tasks=shown,
        next_cursor=_cursor(query.sort, order.position(shown[-1])) if shown and has_more else None,
    )


def _found(
    cursor: duckdb.DuckDBPyConnection, query: TaskQuery, order: Order, last: Position | None
) -> list[Task]:
    if last is not None and order.is_past_values(last):
        return []
    statement = queries()["finished_page"].format(
        field=order.field,
        type="TIMESTAMP" if order.field.endswith("_at") else "VARCHAR",
        beyond="<" if order.is_descending else ">",
        direction="DESC" if order.is_descending else "ASC",
    )
    found = cursor.execute(statement, _parameters(query, last)).fetchall()
    return [rows.task(record) for (record,) in found]


def _parameters(query: TaskQuery, last: Position | None) -> dict[str, Any]:
    return {
        "states": [state.value for state in query.states],
        "kind": query.kind,
        "name": query.name,
        "labels": compact(dict(query.labels)),
        "key": last.key if last else None,
        "id": last.id if last else None,
        "limit": query.limit + 1,
    }


def _key(value: Any) -> str:
    if isinstance(value, datetime):
        moment = rows.timestamp(value)
        return moment.isoformat(timespec="microseconds") if moment else ""
    return "" if value is None else str(value)


def _cursor(sort: str, position: Position) -> str:
    return base64.urlsafe_b64encode(compact([sort, *position]).encode()).decode()


def _last(query: TaskQuery) -> Position | None:
    """The position in the query's cursor; None without one."""
    if query.cursor is None:
        return None
    try:
        sort, zone, key, id = json.loads(base64.urlsafe_b64decode(query.cursor))
        position = Position(int(zone), str(key), str(id))
        if sort.endswith("_at") and key:
            datetime.fromisoformat(key)
    except (ValueError, TypeError, AttributeError) as failure:
        raise _foreign(query.cursor) from failure
    if sort != query.sort:
        raise _foreign(query.cursor)
    return position


def _foreign(cursor: str) -> InvalidRequest:
    return InvalidRequest(cursor, hint="the cursor is not of this listing; begin without a cursor")
