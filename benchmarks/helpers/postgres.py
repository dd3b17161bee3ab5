"""Task states in PostgreSQL; a figure for each line on standard input.

python postgres.py CONNECTION changes|query COUNT
"""

from __future__ import annotations

import sys
import time

import plain_tasks
import psycopg

CHANGES = [change.replace("?", "%s") for change in plain_tasks.CHANGES]
QUERY = (
    "select name, state, count(*), percentile_cont(0.95) within group (order by duration_seconds) "
    "from tasks group by name, state"
)


def changes(connection: psycopg.Connection, count: int) -> float:
    """Durable changes of state in a second, one after another."""
    began = time.perf_counter()
    for _ in range(count // 3):
        for change, values in zip(CHANGES, plain_tasks.life("report", 1.5), strict=True):
            connection.execute(change, values)
    return count / (time.perf_counter() - began)


def fill(connection: psycopg.Connection, tasks: int) -> None:
    """The three changes of each task, those of ten thousand tasks in a transaction."""
    for first in range(0, tasks, 10_000):
        numbers = range(first, min(first + 10_000, tasks))
        lives = [plain_tasks.life(plain_tasks.named(n), plain_tasks.seconds_of(n)) for n in numbers]
        with connection.transaction(), connection.cursor() as cursor:
            for change, values in zip(CHANGES, zip(*lives, strict=True), strict=True):
                cursor.executemany(change, values)
    connection.execute("analyze tasks")


def main() -> None:
    """Answer each line."""
    connection = psycopg.connect(sys.argv[1], autocommit=True)
    connection.execute("drop table if exists tasks")
    connection.execute(plain_tasks.CREATE)
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
