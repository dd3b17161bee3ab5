"""Our own verbs as MCP tools: submit, look, fetch, cancel. The same verbs as behind REST."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from opspawn_jupyter.broker.own_tool import OwnTask, OwnTool
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

_TASK = {"task": {"type": "string", "description": "id of the task, or the end of it"}}
_TAIL_LINES = 100


class Verbs:
    """What agents outside may do with tasks."""

    def __init__(self, o: Orchestration) -> None:
        self._o = o

    def tools(self) -> Sequence[OwnTool]:
        """The verbs as tools."""
        return (
            OwnTool(
                name="run_notebook",
                description="Run a notebook in the background. Gives the task at once; look at it "
                "with task_status, fetch what it gave with task_result.",
                run=self._run_notebook,
                properties={
                    "notebook": {"type": "string", "description": "path below the server's root"},
                    "parameters": {"type": "object"},
                    "timeout_seconds": {"type": "number", "exclusiveMinimum": 0},
                },
                required=("notebook",),
                starts_task=True,
            ),
            OwnTool(
                name="submit_task",
                description=f"Submit a task of any kind: {', '.join(sorted(self._o.kinds))}. Takes "
                "what REST takes.",
                run=self._submit,
                properties={
                    "kind": {"type": "string"},
                    "spec": {"type": "object"},
                    "name": {"type": "string"},
                    "policy": {"type": "object"},
                    "labels": {"type": "object"},
                },
                required=("kind", "spec"),
                starts_task=True,
            ),
            _look("task_status", "How a task stands.", self._status, _TASK),
            _look("task_result", "Outputs or error of a task that has ended.", self._result, _TASK),
            _look(
                "task_log",
                "The last lines of what a task wrote.",
                self._log,
                {**_TASK, "lines": {"type": "integer", "minimum": 1, "maximum": 10_000}},
            ),
            OwnTool(
                name="cancel_task",
                description="End a task.",
                run=self._cancel,
                properties=_TASK,
                required=("task",),
            ),
            OwnTool(
                name="list_tasks",
                description="Tasks, newest first.",
                run=self._list,
                properties={
                    "state": {"type": "string", "enum": [state.value for state in State]},
                    "kind": {"type": "string"},
                    "name": {"type": "string", "description": "beginning of the name"},
                    "limit": {"type": "integer", "minimum": 1, "maximum": 100},
                },
                is_read_only=True,
            ),
        )

    async def get(self, principal: Principal, task_id: str) -> OwnTask:  # noqa: ARG002 (one user)
        """See ``broker.tasks_extension.OwnTasks``."""
        task = await find(self._o, task_id)
        is_success = task.state is State.SUCCESS
        ended = "cancelled" if task.state is State.CANCELLED else "completed"
        return OwnTask(
            id=task.id,
            status=ended if task.state.is_final else "working",
            message=task_line(task),
            created_at=task.created_at.isoformat(),
            updated_at=(task.finished_at or task.started_at or task.created_at).isoformat(),
            value=_outcome(task) if task.state.is_final else None,
            is_error=not is_success,
        )

    async def cancel(self, principal: Principal, task_id: str) -> None:
        """See ``broker.tasks_extension.OwnTasks``."""
        await cancel(self._o, task_id, principal.user)

    async def _run_notebook(self, principal: Principal, given: Mapping[str, Any]) -> Any:
        spec = {key: given[key] for key in ("notebook", "parameters") if key in given}
        policy = {key: given[key] for key in ("timeout_seconds",) if key in given}
        return await self._submit(principal, {"kind": "notebook", "spec": spec, "policy": policy})

    async def _submit(self, principal: Principal, given: Mapping[str, Any]) -> Any:
        submission = await asyncio.to_thread(schemas.read_record, Submission, given)
        task, _ = await submit(self._o, submission, principal.user)
        return _brief(task)

    async def _status(self, _: Principal, given: Mapping[str, Any]) -> Any:
        return _brief(await find(self._o, given["task"]))

    async def _result(self, _: Principal, given: Mapping[str, Any]) -> Any:
        task = await find(self._o, given["task"])
        if not task.state.is_final:
            raise TaskNotFinished(hint=f"it is {task.state.value}")
        return _outcome(task)

    async def _log(self, _: Principal, given: Mapping[str, Any]) -> Any:
        task = await find(self._o, given["task"])
        root = self._o.settings.root_directory
        directory = await asyncio.to_thread(run_files.run_directory, root, task)
        query = schemas.LogQuery(tail=given.get("lines", _TAIL_LINES))
        page = await asyncio.to_thread(
            run_files.log_slice, directory, query, has_ended=task.state.is_final
        )
        return {"text": page.text}

    async def _cancel(self, principal: Principal, given: Mapping[str, Any]) -> Any:
        return _brief(await cancel(self._o, given["task"], principal.user))

    async def _list(self, _: Principal, given: Mapping[str, Any]) -> Any:
        query = TaskQuery(
            states=(State(given["state"]),) if "state" in given else (),
            kind=given.get("kind"),
            name=given.get("name"),
            limit=given.get("limit", 20),
        )
        return {"tasks": [_brief(task) for task in (await self._o.store.tasks(query)).tasks]}


def _look(name: str, description: str, run: Any, properties: Mapping[str, Any]) -> OwnTool:
    return OwnTool(
        name=name,
        description=description,
        run=run,
        properties=properties,
        required=("task",),
        is_read_only=True,
    )


def _brief(task: Task) -> dict[str, Any]:
    """What a model needs to know of a task, and not all that there is."""
    return {
        "id": task.id,
        "name": task.name,
        "kind": task.kind,
        "state": task.state,
        "summary": task_line(task),
        "run_directory": task.run_directory,
    }


def _outcome(task: Task) -> dict[str, Any]:
    error = {"name": task.error.name, "message": task.error.message} if task.error else None
    return {"state": task.state, "outputs": dict(task.outputs), "error": error}
