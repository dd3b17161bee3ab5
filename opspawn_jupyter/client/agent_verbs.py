"""Our verbs as plain functions, for programs that collect tools for agents from entry points.

``jupyter_server_mcp`` (with which Jupyter AI gives its agents tools) looks for the group
``jupyter_server_mcp.tools``: a function that gives ``module:function`` names. Each of these talks
to the Jupyter server as every client does.
"""

from __future__ import annotations

from typing import Any

from opspawn_jupyter.client.client import AsyncClient, connect_async
from opspawn_jupyter.client.task_text import task_line
from opspawn_jupyter.model import wire
from opspawn_jupyter.model.schedule import Timing
from opspawn_jupyter.model.task import Task, TaskQuery


def tools() -> list[str]:
    """The functions, as the entry point gives them."""
    verbs = (
        opspawn_run_notebook,
        opspawn_run_workflow,
        opspawn_audit,
        opspawn_schedule_notebook,
        opspawn_list_schedules,
        opspawn_task_status,
        opspawn_task_result,
        opspawn_task_log,
        opspawn_cancel_task,
        opspawn_list_tasks,
    )
    return [f"{__name__}:{verb.__name__}" for verb in verbs]


async def opspawn_run_notebook(
    notebook: str, parameters: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Run a notebook in the background. Gives the task at once; look at it with
    opspawn_task_status, fetch what it gave with opspawn_task_result."""
    async with _server() as server:
        return _brief((await server.run(notebook, parameters=parameters)).task)


async def opspawn_run_workflow(
    path: str, parameters: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Run a workflow's YAML file in the background. Gives the task at once."""
    async with _server() as server:
        return _brief((await server.run_workflow(path, parameters=parameters)).task)


async def opspawn_audit(notebook: str, reason: str = "") -> dict[str, Any]:
    """Audit a notebook: run it again in clean kernels and compare. Gives the task at once."""
    async with _server() as server:
        return _brief((await server.audit(notebook, reason=reason)).task)


async def opspawn_schedule_notebook(
    name: str,
    notebook: str,
    cron: str,
    timezone: str = "UTC",
    parameters: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Run a notebook whenever a cron rule (five fields, or @daily and the like) says so."""
    async with _server() as server:
        seen = await server.schedules.add(
            notebook, name=name, timing=Timing(cron=cron, timezone=timezone), parameters=parameters
        )
        return {"name": seen.schedule.plan.name, "when": seen.words}


async def opspawn_list_schedules() -> dict[str, Any]:
    """Schedules with their next due times."""
    async with _server() as server:
        found: dict[str, Any] = wire.encode(await server.schedules.list())
        return found


async def opspawn_task_status(task: str) -> dict[str, Any]:
    """How a task stands, by its id or the end of it."""
    async with _server() as server:
        return _brief(await server.task(task))


async def opspawn_task_result(task: str) -> dict[str, Any]:
    """Outputs of a task that has succeeded."""
    async with _server() as server:
        return await server.result(task)


async def opspawn_task_log(task: str, lines: int = 100) -> str:
    """The last lines of what a task wrote."""
    async with _server() as server:
        return await server.logs(task, tail=lines)


async def opspawn_cancel_task(task: str) -> dict[str, Any]:
    """End a task."""
    async with _server() as server:
        return _brief(await server.cancel(task))


async def opspawn_list_tasks(kind: str | None = None, limit: int = 20) -> dict[str, Any]:
    """Tasks, newest first; of one kind (notebook, workflow, agent, audit …) where it is named."""
    async with _server() as server:
        page = await server.tasks(TaskQuery(kind=kind, limit=limit))
        return {"tasks": [_brief(task) for task in page.tasks]}


def _server() -> AsyncClient:
    return connect_async()


def _brief(task: Task) -> dict[str, Any]:
    return {"id": task.id, "name": task.name, "state": task.state, "summary": task_line(task)}
