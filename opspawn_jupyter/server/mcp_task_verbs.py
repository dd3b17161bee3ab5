"""Tasks for agents outside: submit, look, fetch, cancel."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from opspawn_jupyter.client.task_text import task_line
from opspawn_jupyter.errors import TaskNotFinished
from opspawn_jupyter.model.states import State
from opspawn_jupyter.model.task import Submission, Task, TaskQuery
from opspawn_jupyter.model.tool import Principal
from opspawn_jupyter.orchestrator.cancel import cancel
from opspawn_jupyter.orchestrator.context import Orchestration
from opspawn_jupyter.orchestrator.find import find
from opspawn_jupyter.orchestrator.submit import submit
from opspawn_jupyter.server import run_files, schemas

Given = Mapping[str, Any]

_TAIL_LINES = 100


async def submit_task(o: Orchestration, principal: Principal, given: Given) -> Any:
    """Submit a task of any kind."""
    submission = await asyncio.to_thread(schemas.read_record, Submission, given)
    task, _ = await submit(o, submission, principal.user)
    return brief(task)


async def run_notebook(o: Orchestration, principal: Principal, given: Given) -> Any:
    """Run a notebook."""
    spec = picked(given, "notebook", "parameters")
    policy = picked(given, "timeout_seconds")
    return await submit_task(o, principal, {"kind": "notebook", "spec": spec, "policy": policy})


async def status(o: Orchestration, _: Principal, given: Given) -> Any:
    """How it stands."""
    return brief(await find(o, given["task"]))


async def result(o: Orchestration, _: Principal, given: Given) -> Any:
    """What it gave."""
    task = await find(o, given["task"])
    if not task.state.is_final:
        raise TaskNotFinished(hint=f"it is {task.state.value}")
    return outcome(task)


async def log(o: Orchestration, _: Principal, given: Given) -> Any:
    """The last lines of what it wrote."""
    task = await find(o, given["task"])
    root = o.settings.root_directory
    directory = await asyncio.to_thread(run_files.run_directory, root, task)
    query = schemas.LogQuery(tail=given.get("lines", _TAIL_LINES))
    page = await asyncio.to_thread(
        run_files.log_slice, directory, query, has_ended=task.state.is_final
    )
    return {"text": page.text}


async def cancel_task(o: Orchestration, principal: Principal, given: Given) -> Any:
    """End it."""
    return brief(await cancel(o, given["task"], principal.user))


async def list_tasks(o: Orchestration, _: Principal, given: Given) -> Any:
    """Tasks, newest first."""
    query = TaskQuery(
        states=(State(given["state"]),) if "state" in given else (),
        kind=given.get("kind"),
        name=given.get("name"),
        limit=given.get("limit", 20),
    )
    return {"tasks": [brief(task) for task in (await o.store.tasks(query)).tasks]}


def brief(task: Task) -> dict[str, Any]:
    """What a model needs to know of a task, and not all that there is."""
    return {
        "id": task.id,
        "name": task.name,
        "kind": task.kind,
        "state": task.state,
        "summary": task_line(task),
        "run_directory": task.run_directory,
    }


def outcome(task: Task) -> dict[str, Any]:
    """What a task that has ended came to."""
    error = {"name": task.error.name, "message": task.error.message} if task.error else None
    return {"state": task.state, "outputs": dict(task.outputs), "error": error}


def picked(given: Given, *names: str) -> dict[str, Any]:
    """Those of the arguments that were given."""
    return {name: given[name] for name in names if name in given}
