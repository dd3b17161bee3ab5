"""The store: durable changes of state, and questions to a long history."""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import duckdb

from benchmarks import peers, postgres
from benchmarks.helpers import plain_tasks
from benchmarks.measure import Goal, Row, Size, Way
from opspawn_jupyter.model.event import Draft
from opspawn_jupyter.model.ids import new_id
from opspawn_jupyter.model.states import EventType
from opspawn_jupyter.stores.database import FILE_NAME
from opspawn_jupyter.stores.duckdb import DuckDBStore

_OURS, _DUCKDB = "opspawn's store", "DuckDB, autocommit"
_OUR_QUERY = (
    "select name, state, count(*), quantile_cont(duration_seconds, 0.95) from tasks "
    "group by name, state"
)
_SQLITE_QUERY = (
    "select name, state, n, duration_seconds from (select name, state, duration_seconds, "
    "row_number() over (partition by name, state order by duration_seconds) as place, count(*) "
    "over (partition by name, state) as n from tasks) where place = n * 95 / 100 + 1"
)

#: The tasks that the peers have: see ``plain_tasks.seconds_of``.
_TASKS = """
INSERT INTO finished_tasks
SELECT * EXCLUDE (n) REPLACE (
    CAST(uuidv7() AS VARCHAR) AS id,
    'report-' || (n % 20) AS name,
    started_at + to_seconds(n * 7919 % 10007 / 100) AS finished_at,
    n * 7919 % 10007 / 100 AS duration_seconds
)
FROM (FROM finished_tasks LIMIT 1), range(1, $count) AS numbers (n)
"""


def drafts(name: str = "report") -> list[Draft]:
    """Eight changes of a new task, from its submission to its success."""
    task_id = new_id()
    data = {
        "kind": "notebook", "name": name, "spec": {}, "policy": {}, "labels": {},
        "run_directory": f"runs/{task_id}", "submitted_by": "ada", "idempotency_key": None,
    }  # fmt: skip
    steps = [
        (EventType.STARTED, {"worker": "local"}),
        (EventType.CELLS_PLANNED, {"cells": [{"index": 0, "title": "x"}]}),
        (EventType.CELL_STARTED, {"index": 0}),
        (EventType.CELL_FINISHED, {"index": 0, "state": "success", "duration_seconds": 0.5}),
        (EventType.STEP_OUTPUT, {"name": "rows", "value": 42}),
        (EventType.SUCCEEDED, {}),
    ]
    return [
        Draft(task_id=task_id, type=EventType.SUBMITTED, data=data),
        Draft(task_id=task_id, type=EventType.QUEUED),
        *(
            Draft(task_id=task_id, type=kind, data=told, attempt=1, number=number)
            for number, (kind, told) in enumerate(steps, start=1)
        ),
    ]


@contextmanager
def _one_client(size: Size) -> Iterator[Mapping[str, Way]]:
    count = size.of(2400, 240)
    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        runner = stack.enter_context(asyncio.Runner())
        store = runner.run(DuckDBStore.open(place / "ours"))
        stack.callback(lambda: runner.run(store.close()))
        sqlite = _sqlite(place / "sqlite.db")
        stack.callback(sqlite.close)
        ways: dict[str, Way] = {
            _OURS: lambda: runner.run(_ours(store, count, clients=1)),
            _DUCKDB: lambda: _rate(_duckdb(place), count // 3),
            "SQLite, WAL, full sync": lambda: _rate(sqlite, count),
        }
        if postgres.programs() is not None:
            connection = stack.enter_context(postgres.server())
            program = peers.python("postgres")
            way = peers.helper(program, "postgres.py", connection, "changes", str(count))
            ways["PostgreSQL"] = stack.enter_context(way)
        yield ways


@contextmanager
def _sixteen_clients(size: Size) -> Iterator[Mapping[str, Way]]:
    count = size.of(9600, 960)
    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        runner = stack.enter_context(asyncio.Runner())
        store = runner.run(DuckDBStore.open(place / "ours"))
        stack.callback(lambda: runner.run(store.close()))
        yield {
            _OURS: lambda: runner.run(_ours(store, count, clients=16)),
            _DUCKDB: lambda: _rate(_duckdb(place), count // 8),
        }


async def _ours(store: DuckDBStore, count: int, *, clients: int) -> float:
    async def client() -> None:
        for _ in range(count // clients // 8):
            for draft in drafts():
                await store.append([draft])

    began = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(clients)))
    return (count // clients // 8 * 8 * clients) / (time.perf_counter() - began)


def _duckdb(place: Path) -> duckdb.DuckDBPyConnection:
    path = place / f"{time.monotonic_ns()}.duckdb"
    connection = duckdb.connect(str(path))
    connection.execute(plain_tasks.CREATE)
    return connection


def _sqlite(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("pragma journal_mode=wal")
    connection.execute("pragma synchronous=full")
    connection.execute(plain_tasks.CREATE)
    return connection


def _rate(connection: duckdb.DuckDBPyConnection | sqlite3.Connection, count: int) -> float:
    """Changes in a second: each is committed by itself. All clients' turns, one after another,
    which is how DuckDB takes them anyway."""
    began = time.perf_counter()
    for _ in range(count // 3):
        _live(connection, "report", 1.5)
    return count // 3 * 3 / (time.perf_counter() - began)


def _live(
    connection: duckdb.DuckDBPyConnection | sqlite3.Connection, name: str, seconds: float
) -> None:
    for change, values in zip(plain_tasks.CHANGES, plain_tasks.life(name, seconds), strict=True):
        connection.execute(change, values)


@contextmanager
def _query(size: Size) -> Iterator[Mapping[str, Way]]:
    """A task is an insert and two updates to the peers; to us it is four changes."""
    tasks = size.of(1_000_000, 8_000) // 3
    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        runner = stack.enter_context(asyncio.Runner())
        fill(runner, place / "ours", _brief(), _TASKS, tasks)
        store = runner.run(DuckDBStore.open(place / "ours"))
        stack.callback(lambda: runner.run(store.close()))
        sqlite = _filled_sqlite(place / "sqlite.db", tasks)
        stack.callback(sqlite.close)
        _compare(runner.run(store.sql(_OUR_QUERY)).rows, sqlite.execute(_SQLITE_QUERY).fetchall())
        ways: dict[str, Way] = {
            _OURS: lambda: runner.run(_asked(store)),
            "SQLite": lambda: _timed_query(sqlite),
        }
        if postgres.programs() is not None:
            connection = stack.enter_context(postgres.server())
            program = peers.python("postgres")
            way = peers.helper(program, "postgres.py", connection, "query", str(tasks))
            ways["PostgreSQL"] = stack.enter_context(way)
        yield ways


def _compare(ours: Iterable[Sequence[object]], theirs: Iterable[Sequence[object]]) -> None:
    """Nobody may be quick because he has less to look at."""
    our_counts, their_counts = ({tuple(row[:3]) for row in rows} for rows in (ours, theirs))
    if our_counts != their_counts:
        message = f"the answers differ: {our_counts} and {their_counts}"
        raise RuntimeError(message)


def _brief() -> list[Draft]:
    """As few changes as a task can have. It takes no time, as the first of those of the peers."""
    first, queued, started, *_, ended = drafts("report-0")
    return [first, queued, started, replace(ended, number=2, at=started.at)]


def fill(
    runner: asyncio.Runner, place: Path, first: Sequence[Draft], copies: str, count: int
) -> None:
    """One task through the store, and copies of it straight into its file: a million lives would
    take an hour."""

    async def live() -> None:
        store = await DuckDBStore.open(place)
        await store.append(first)
        await store.close()

    runner.run(live())
    with duckdb.connect(place / FILE_NAME) as connection:
        connection.execute(copies, {"count": count})


async def _asked(store: DuckDBStore) -> float:
    began = time.perf_counter()
    await store.sql(_OUR_QUERY)
    return time.perf_counter() - began


def _filled_sqlite(path: Path, tasks: int) -> sqlite3.Connection:
    connection = _sqlite(path)
    connection.execute("begin")
    for number in range(tasks):
        _live(connection, plain_tasks.named(number), plain_tasks.seconds_of(number))
    connection.execute("commit")
    return connection


def _timed_query(connection: sqlite3.Connection) -> float:
    began = time.perf_counter()
    connection.execute(_SQLITE_QUERY).fetchall()
    return time.perf_counter() - began


ROWS = (
    Row(
        name="store-1",
        what="durable changes of state, one client",
        ways=_one_client,
        goals=(Goal(ours=_OURS, other=_DUCKDB, at_least=9),),
        unit="changes/s",
        more_is_better=True,
        rounds=5,
    ),
    Row(
        name="store-16",
        what="durable changes of state, 16 clients",
        ways=_sixteen_clients,
        goals=(Goal(ours=_OURS, other=_DUCKDB, at_least=15),),
        unit="changes/s",
        more_is_better=True,
        rounds=5,
    ),
    Row(
        name="query",
        what="p95 of duration by name and state after 1 M changes",
        unit="s",
        ways=_query,
        goals=(
            Goal(ours=_OURS, other="SQLite", at_least=15),
            Goal(ours=_OURS, other="PostgreSQL", at_least=40),
        ),
        rounds=7,
    ),
)
