"""Our own verbs as MCP tools, the same as behind REST. What each is and takes stands in
``mcp_verbs.json``."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from importlib.resources import files
from typing import Any

from opspawn_jupyter.broker.own_tool import OwnTask, OwnTool
from opspawn_jupyter.client.task_text import task_line
from opspawn_jupyter.model.states import State
from opspawn_jupyter.model.tool import Principal
from opspawn_jupyter.orchestrator.cancel import cancel
from opspawn_jupyter.orchestrator.context import Orchestration
from opspawn_jupyter.orchestrator.find import find
from opspawn_jupyter.server import mcp_plan_verbs as plan
from opspawn_jupyter.server import mcp_task_verbs as task

Verb = Callable[[Orchestration, Principal, Mapping[str, Any]], Awaitable[Any]]

VERBS: Mapping[str, Verb] = {
    "run_notebook": task.run_notebook,
    "submit_task": task.submit_task,
    "task_status": task.status,
    "task_result": task.result,
    "task_log": task.log,
    "cancel_task": task.cancel_task,
    "list_tasks": task.list_tasks,
    "run_workflow": plan.run_workflow,
    "workflow_status": plan.workflow_status,
    "list_workflows": plan.list_workflows,
    "create_schedule": plan.create_schedule,
    "list_schedules": plan.list_schedules,
    "schedule_history": plan.schedule_history,
    "pause_schedule": plan.pause_schedule,
    "resume_schedule": plan.resume_schedule,
    "start_schedule": plan.start_schedule,
    "run_audit": plan.run_audit,
}


class Verbs:
    """What agents outside may do."""

    def __init__(self, o: Orchestration) -> None:
        self._o = o

    def tools(self) -> Sequence[OwnTool]:
        """The verbs as tools."""
        said = json.loads(files(__package__).joinpath("mcp_verbs.json").read_text())
        said["submit_task"]["description"] = said["submit_task"]["description"].format(
            kinds=", ".join(sorted(self._o.kinds))
        )
        said["list_tasks"]["properties"]["state"]["enum"] = [state.value for state in State]
        return [
            OwnTool(name=name, run=partial(verb, self._o), **said[name])
            for name, verb in VERBS.items()
        ]

    async def get(self, principal: Principal, task_id: str) -> OwnTask:  # noqa: ARG002 (one user)
        """See ``broker.tasks_extension.OwnTasks``."""
        found = await find(self._o, task_id)
        is_success = found.state is State.SUCCESS
        ended = "cancelled" if found.state is State.CANCELLED else "completed"
        return OwnTask(
            id=found.id,
            status=ended if found.state.is_final else "working",
            message=task_line(found),
            created_at=found.created_at.isoformat(),
            updated_at=(found.finished_at or found.started_at or found.created_at).isoformat(),
            value=task.outcome(found) if found.state.is_final else None,
            is_error=not is_success,
        )

    async def cancel(self, principal: Principal, task_id: str) -> None:
        """See ``broker.tasks_extension.OwnTasks``."""
        await cancel(self._o, task_id, principal.user)
