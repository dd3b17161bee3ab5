"""A workflow's run as the store has it."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

from opspawn_jupyter.model import wire
from opspawn_jupyter.model.event import Draft
from opspawn_jupyter.model.states import EventType, State
from opspawn_jupyter.model.task import Problem, Task, TaskQuery
from opspawn_jupyter.model.workflow import GRAPH_NAME, Workflow
from opspawn_jupyter.orchestrator.context import Orchestration
from opspawn_jupyter.orchestrator.workflow.progress import Progress

_PAGE = 500


async def load(o: Orchestration, task_id: str) -> Progress | None:
    """The run, begun if it had not been; None where there is nothing to move on. One whose graph
    is lost ends here."""
    task = await o.store.task(task_id)
    if task is None or task.state not in (State.QUEUED, State.RUNNING):
        return None
    path = o.settings.root_directory / task.run_directory / GRAPH_NAME
    try:
        graph = await asyncio.to_thread(_graph, path)
    except (OSError, ValueError, KeyError, TypeError) as failure:
        await _abort(o, task, f"its pinned graph cannot be read: {failure}")
        return None
    if task.state is State.QUEUED:
        await o.record(Draft(task_id=task.id, type=EventType.STARTED, attempt=task.attempt + 1))
        task = await o.store.task(task_id) or task
    return Progress(task, graph)


async def children_of(o: Orchestration, parent_id: str) -> list[Task]:
    """The tasks of its steps, oldest first."""
    query = TaskQuery(parent=parent_id, sort="created_at", limit=_PAGE)
    found: list[Task] = []
    while True:
        page = await o.store.tasks(query)
        found.extend(page.tasks)
        if page.next_cursor is None:
            return found
        query = replace(query, cursor=page.next_cursor)


def _graph(path: Path) -> Workflow:
    return wire.decode(Workflow, json.loads(path.read_bytes()))


async def _abort(o: Orchestration, task: Task, message: str) -> None:
    drafts = []
    attempt = task.attempt
    if task.state is State.QUEUED:
        attempt += 1
        drafts.append(Draft(task_id=task.id, type=EventType.STARTED, attempt=attempt))
    error = {"error": wire.encode(Problem(name="GraphLost", message=message))}
    drafts.append(Draft(task_id=task.id, type=EventType.CRASHED, attempt=attempt, data=error))
    await o.record(*drafts)
