"""Paths and queries of the routes about tasks."""

from __future__ import annotations

import re
from typing import Any

from opspawn_jupyter import errors
from opspawn_jupyter.model.task import TaskQuery

#: A reference that could not be an id would name another route.
REFERENCE = re.compile(r"[0-9a-fA-F-]{1,36}")


def task_path(reference: str) -> str:
    """Path of a task by its id, or by the end of it. Raises ``TaskNotFound`` for what is none."""
    if not REFERENCE.fullmatch(reference):
        raise errors.TaskNotFound(reference)
    return f"tasks/{reference}"


def listing_query(query: TaskQuery) -> dict[str, Any]:
    """What to ask the route ``tasks``."""
    return {
        "state": [state.value for state in query.states] or None,
        "kind": query.kind,
        "name": query.name,
        "label": [f"{name}:{value}" for name, value in query.labels.items()] or None,
        "parent": query.parent,
        "top": "true" if query.is_top else None,
        "dead": "true" if query.is_dead else None,
        "sort": query.sort,
        "limit": query.limit,
        "cursor": query.cursor,
    }
