"""Pages out of a history that is too long to be looked through for each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import duckdb
import pytest

from opspawn_jupyter.model.ids import new_id
from opspawn_jupyter.model.states import State
from opspawn_jupyter.model.task import Task, TaskQuery
from opspawn_jupyter.stores import finished_page, rows
from opspawn_jupyter.stores.database import insert
from opspawn_jupyter.stores.queries import migrations, queries

_COUNT = 6_000
_BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
#: Days from the first to the task of this number.
DAYS: Mapping[str, Callable[[int], float]] = {
    "evenly": lambda number: number / 100,
    "most of them in one hour": lambda number: number if number < 60 else 60 + number / 150_000,
    "many in the same moment": lambda number: number // 500,
}


@pytest.fixture(scope="module", params=DAYS)
def tasks(request: pytest.FixtureRequest) -> Sequence[Task]:
    """Finished tasks, of which one in a hundred has failed."""
    return [_task(number, DAYS[request.param](number)) for number in range(_COUNT)]


@pytest.fixture(scope="module")
def history(tasks: Sequence[Task]) -> Iterator[duckdb.DuckDBPyConnection]:
    """The tables of a store with these tasks."""
    with duckdb.connect() as connection:
        for script in migrations().values():
            connection.execute(script)
        insert(connection, "finished_tasks", [rows.task_row(task) for task in tasks])
        yield connection


def _task(number: int, days: float) -> Task:
    created_at = _BEGAN + timedelta(days=days)
    return Task(
        id=new_id(),
        kind="notebook",
        name=f"report-{number % 7}",
        state=State.FAILED if number % 100 == 0 else State.SUCCESS,
        spec={},
        run_directory="runs/1",
        created_at=created_at,
        # Those that began together do not end in the order in which they began.
        finished_at=created_at + timedelta(seconds=number * 7919 % 1013),
    )


@pytest.mark.parametrize("sort", ["-created_at", "created_at", "-finished_at", "name", "-state"])
@pytest.mark.parametrize("states", [(), (State.FAILED,), (State.CRASHED,)], ids=str)
def test_a_page_is_the_next_part_of_the_whole_order(
    history: duckdb.DuckDBPyConnection, tasks: Sequence[Task], sort: str, states: tuple[State, ...]
) -> None:
    """Wherever it begins, however the tasks lie in time and however few fit: a page that is looked
    for in a part of the history must not lack what lies outside of it."""
    query = TaskQuery(sort=sort, states=states)
    field = sort.removeprefix("-")
    fitting = _in_order((task for task in tasks if not states or task.state in states), sort)

    for begin in (0, len(fitting) // 2, max(0, len(fitting) - 20)):
        last = _place(fitting[begin - 1], field) if begin else None
        found = finished_page.page(history, query, last, frozenset())

        assert found == fitting[begin : begin + query.limit + 1]


def _place(task: Task, field: str) -> tuple[str, str]:
    value = getattr(task, field)
    moment = rows.timestamp(value) if isinstance(value, datetime) else None
    return (moment.isoformat() if moment else str(value), task.id)


def test_tasks_that_are_left_out_make_room_for_the_next(
    history: duckdb.DuckDBPyConnection, tasks: Sequence[Task]
) -> None:
    """Memory has those as they are now; a page must be full without them."""
    newest = _in_order(tasks, "-created_at")
    left_out = frozenset(task.id for task in newest[:400])

    found = finished_page.page(history, TaskQuery(limit=20), None, left_out)

    assert found == newest[400:421]


def test_a_task_that_was_written_anew_is_found_where_it_belongs(
    history: duckdb.DuckDBPyConnection, tasks: Sequence[Task]
) -> None:
    """A pruned task's row comes last in the file, whenever the task was."""
    anew = [replace(task, pruned_at=_BEGAN + timedelta(days=9000)) for task in tasks[:3]]
    with history.cursor() as cursor:
        cursor.begin()
        cursor.execute(queries()["forget_finished"], {"ids": [task.id for task in anew]})
        insert(cursor, "finished_tasks", [rows.task_row(task) for task in anew])
        query = TaskQuery(sort="created_at", limit=4)
        first = finished_page.page(cursor, query, None, frozenset())
        pruned = finished_page.page(cursor, replace(query, pruned=True), None, frozenset())
        cursor.rollback()

    assert first == _in_order([*anew, *tasks[3:]], "created_at")[:5]
    assert pruned == _in_order(anew, "created_at")


def _in_order(tasks: Iterable[Task], sort: str) -> list[Task]:
    """All of them, as a listing sorts them."""
    field = sort.removeprefix("-")
    is_descending = sort.startswith("-")
    return sorted(tasks, key=lambda task: (getattr(task, field), task.id), reverse=is_descending)
