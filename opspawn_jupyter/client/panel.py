"""What a cell's output holds for the live view: which task or listing, and how it stood.

Our JupyterLab extension draws it and asks the server for more; where the extension is absent,
the HTML and the text beside it in the same output are shown instead. It is saved with the
notebook, so it holds no more than the picture shows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from opspawn_jupyter.model import wire
from opspawn_jupyter.model.task import Task, TaskQuery

PANEL_MIME = "application/vnd.opspawn.panel+json"

_VERSION = 1
#: Of no use to a picture, and some of them long.
_LEFT_OUT = frozenset(
    {
        "idempotency_key",
        "labels",
        "on_failure",
        "on_success",
        "pinned",
        "policy",
        "report_number",
        "spec",
        "submitted_by",
        "worker",
    }
)


def task_panel(task: Task) -> dict[str, Any]:
    """The task as a card."""
    return {"version": _VERSION, "view": "task", "task": _snapshot(task)}


def board_panel(tasks: Sequence[Task], query: TaskQuery | None) -> dict[str, Any]:
    """The tasks as a list, and what the list is of."""
    listed = [_snapshot(task) for task in tasks]
    return {"version": _VERSION, "view": "board", "tasks": listed, "query": _words(query)}


def _snapshot(task: Task) -> Mapping[str, Any]:
    record = {name: value for name, value in wire.encode(task).items() if name not in _LEFT_OUT}
    if record["kept_kernel"]:
        record["kept_kernel"].pop("connection_file")
    return record


def _words(query: TaskQuery | None) -> dict[str, Any]:
    """The query as the address of a listing has it."""
    if query is None:
        return {}
    words = {
        "state": [state.value for state in query.states],
        "kind": query.kind,
        "name": query.name,
        "label": [f"{name}:{value}" for name, value in query.labels.items()],
        "parent": query.parent,
        "top": query.is_top,
        "dead": query.is_dead,
        "sort": None if query.sort == TaskQuery.sort else query.sort,
    }
    return {name: value for name, value in words.items() if value}
