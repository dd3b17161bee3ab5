"""Task states in PostgreSQL; a figure for each line on standard input.

python postgres.py CONNECTION changes|query COUNT
"""

from __future__ import annotations

import sys
import time

import psycopg

CREATE = "create table tasks (id bigint primary key, name text, state text, seconds float8)"
INSERT = "insert into tasks values (%s, %s, 'queued', 0)"
UPDATE = "update tasks set state = %s, seconds = %s where id = %s"
QUERY = (
    "select name, state, count(*), percentile_cont(0.95) within group (order by seconds) "
    "from tasks group by name, state"
)


def changes(connection: psycopg.Connection, count: int) -> float:
    """Durable changes of state in a second, one after another."""
    first = int(time.time() * 1000) * 1000
    began = time.perf_counter()
    for number in range(first, first + count // 3):
        connection.execute(INSERT, (number, "report"))
        connection.execute(UPDATE, ("running", 0, number))
        connection.execute(UPDATE, ("success", 1.5, number))
    return count / (time.perf_counter() - began)


def fill(connection: psycopg.Connection, tasks: int) -> None:
    """An insert and two updates of each task, ten thousand tasks in a transaction."""
    for first in range(0, tasks, 10_000):
        numbers = range(first, min(first + 10_000, tasks))
        with connection.transaction(), connection.cursor() as cursor:
            cursor.executemany(INSERT, [(one, f"report-{one % 20}") for one in numbers])
            cursor.executemany(UPDATE, [("running", 0, one) for one in numbers])
            # As in ``rows/store.py``.
            ends = [("success", one * 7919 % 10_007 / 100, one) for one in numbers]
            cursor.executemany(UPDATE, ends)
    connection.execute("analyze tasks")


def main() -> None:
    """Answer each line."""
    connection = psycopg.connect(sys.argv[1], autocommit=True)
    connection.execute("drop table if exists tasks")
    connection.execute(CREATE)
    count = int(sys.argv[3])
    if sys.argv[2] == "query":
        fill(connection, count)
    for _ in sys.stdin:
        if sys.argv[2] == "query":
            began = time.perf_counter()
            connection.execute(QUERY).fetchall()
            figure = time.perf_counter() - began
        else:
            figure = changes(connection, count)
        print(f"figure {figure}", flush=True)


if __name__ == "__main__":
    main()
