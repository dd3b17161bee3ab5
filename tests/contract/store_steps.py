"""Drafts for the store's tests, in the words of a task's life."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opspawn_jupyter.model.event import Draft
from opspawn_jupyter.model.ids import new_id
from opspawn_jupyter.model.states import EventType


def submission(task_id: str, **changes: Any) -> Draft:
    """A task comes into being."""
    data: Mapping[str, Any] = {
        "kind": "notebook",
        "name": "report",
        "spec": {"parameters": {"region": "EU"}},
        "policy": {},
        "labels": {},
        "run_directory": f"opspawn_runs/{task_id}",
        "submitted_by": "ada",
        "idempotency_key": None,
    }
    return Draft(task_id=task_id, type=EventType.SUBMITTED, data={**data, **changes})


def queued(task_id: str, **changes: Any) -> list[Draft]:
    """It comes into being and waits for a worker."""
    return [submission(task_id, **changes), Draft(task_id=task_id, type=EventType.QUEUED)]


def report(task_id: str, number: int, type: EventType, **data: Any) -> Draft:
    """Its worker tells something about the first attempt."""
    return Draft(task_id=task_id, type=type, data=data, attempt=1, number=number)


def run(task_id: str, outcome: EventType = EventType.SUCCEEDED, **data: Any) -> list[Draft]:
    """A worker starts it, runs its two cells and tells the outcome."""
    cells = [{"index": 0, "title": "import"}, {"index": 2, "title": "plot"}]
    finished = {"state": "success", "duration_seconds": 0.5, "execution_count": 1}
    steps: list[tuple[EventType, Mapping[str, Any]]] = [
        (EventType.STARTED, {"worker": "local"}),
        (EventType.CELLS_PLANNED, {"cells": cells}),
        (EventType.CELL_STARTED, {"index": 0}),
        (EventType.CELL_FINISHED, {"index": 0, **finished}),
        (EventType.STEP_OUTPUT, {"name": "rows", "value": 42}),
        (outcome, data),
    ]
    return [
        report(task_id, number, type, **data) for number, (type, data) in enumerate(steps, start=1)
    ]


def life(**changes: Any) -> list[Draft]:
    """All of it, of a new task."""
    task_id = new_id()
    return [*queued(task_id, **changes), *run(task_id)]


def pruned(task_id: str) -> Draft:
    """Its run directory is removed."""
    data = {"reason": "old", "by": "ada", "size_bytes": 5, "files": {}}
    return Draft(task_id=task_id, type=EventType.PRUNED, data=data)
