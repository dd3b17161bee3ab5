"""Tasks as somebody keeps them who has a table for them and updates it: a row has what one of ours
has. The statements, and their values, suit DuckDB, SQLite and PostgreSQL; the last wants ``%s`` for
``?``. Only the standard library is here: the peers' environments have nothing of ours."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

CREATE = """
create table tasks (
    id text primary key,
    kind text not null,
    name text not null,
    state text not null,
    created_at timestamp not null,
    started_at timestamp,
    finished_at timestamp,
    duration_seconds double precision,
    attempt integer not null,
    submitted_by text not null,
    run_directory text not null,
    labels text not null,
    spec text not null,
    outputs text not null,
    cells text not null
)
"""
INSERT = (
    "insert into tasks values "
    "(?, 'notebook', ?, 'queued', ?, null, null, null, 1, 'ada', ?, '{}', '{}', '{}', '[]')"
)
START = "update tasks set state = 'running', started_at = ? where id = ?"
END = (
    "update tasks set state = 'success', finished_at = ?, duration_seconds = ?, outputs = ?, "
    "cells = ? where id = ?"
)
_OUTPUTS = '{"rows": 42}'
_CELLS = '[{"index": 0, "title": "x", "state": "success", "duration_seconds": 0.5}]'

#: The three changes of a task: it is there, it runs, it has ended.
CHANGES = (INSERT, START, END)
_numbers = itertools.count()


def life(name: str, seconds: float) -> tuple[Sequence[object], ...]:
    """The values of a new task's changes, in their order. Its id is in the order of time, as ours
    are."""
    task_id, now = f"{time.time_ns():016x}-{next(_numbers):016x}", datetime.now(UTC)
    begun, ended = (str(at.replace(tzinfo=None)) for at in (now, now + timedelta(seconds=seconds)))
    return (
        (task_id, name, begun, f"runs/{task_id}"),
        (begun, task_id),
        (ended, seconds, _OUTPUTS, _CELLS, task_id),
    )


def seconds_of(number: int) -> float:
    """How long the task took: ten thousand durations, in no order."""
    return number * 7919 % 10_007 / 100


def named(number: int) -> str:
    """Twenty names, in turn."""
    return f"report-{number % 20}"
