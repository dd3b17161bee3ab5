"""Workflows, schedules and audits for agents outside."""

from __future__ import annotations

import asyncio
from typing import Any

from opspawn_jupyter.client.audit import AUDIT, audit_of_run
from opspawn_jupyter.errors import InvalidRequest
from opspawn_jupyter.model import wire
from opspawn_jupyter.model.firing import Cause
from opspawn_jupyter.model.schedule import Plan
from opspawn_jupyter.model.schedule_view import ScheduleView
from opspawn_jupyter.model.tool import Principal
from opspawn_jupyter.model.workflow import WORKFLOW
from opspawn_jupyter.orchestrator import schedule as verbs
from opspawn_jupyter.orchestrator.context import Orchestration
from opspawn_jupyter.orchestrator.find import find
from opspawn_jupyter.orchestrator.schedule_history import history
from opspawn_jupyter.orchestrator.schedule_view import schedules
from opspawn_jupyter.orchestrator.workflow.history import view
from opspawn_jupyter.server import schemas
from opspawn_jupyter.server.mcp_task_verbs import Given, brief, list_tasks, picked, submit_task


async def run_workflow(o: Orchestration, principal: Principal, given: Given) -> Any:
    """Run a workflow's file."""
    return await submit_task(o, principal, {"kind": WORKFLOW, "spec": dict(given)})


async def workflow_status(o: Orchestration, _: Principal, given: Given) -> Any:
    """A run with its steps."""
    seen = await view(o, given["task"])
    return {**brief(seen.task), "steps": [wire.encode(step) for step in seen.steps]}


async def list_workflows(o: Orchestration, principal: Principal, given: Given) -> Any:
    """Runs, newest first."""
    found = await list_tasks(o, principal, {**given, "kind": WORKFLOW})
    return {"workflows": found["tasks"]}


async def create_schedule(o: Orchestration, principal: Principal, given: Given) -> Any:
    """Run something when it is due."""
    parameters = picked(given, "parameters")
    if ("notebook" in given) == ("workflow" in given):
        raise InvalidRequest(given["name"], hint="give notebook or workflow, one of them")
    if "notebook" in given:
        submission = {"kind": "notebook", "spec": {"notebook": given["notebook"], **parameters}}
    else:
        submission = {"kind": WORKFLOW, "spec": {"path": given["workflow"], **parameters}}
    said = {
        "name": given["name"],
        "submission": submission,
        "timing": picked(given, "cron", "every_seconds", "at", "timezone"),
    }
    plan = await asyncio.to_thread(schemas.read_record, Plan, said)
    return _schedule(await verbs.create(o, plan, principal.user))


async def list_schedules(o: Orchestration, _: Principal, __: Given) -> Any:
    """All of them, by name."""
    return {"schedules": [_schedule(one) for one in (await schedules(o)).schedules]}


async def schedule_history(o: Orchestration, _: Principal, given: Given) -> Any:
    """What became of due times."""
    page = await history(o, given["schedule"], given.get("limit", 20), None)
    return {"firings": [wire.encode(firing) for firing in page.firings]}


async def pause_schedule(o: Orchestration, principal: Principal, given: Given) -> Any:
    """Begin a pause."""
    return _schedule(await verbs.pause(o, given["schedule"], principal.user))


async def resume_schedule(o: Orchestration, _: Principal, given: Given) -> Any:
    """End it."""
    return _schedule(await verbs.resume(o, given["schedule"]))


async def start_schedule(o: Orchestration, principal: Principal, given: Given) -> Any:
    """Submit its task now."""
    return brief(await verbs.start(o, given["schedule"], principal.user, cause=Cause.MCP))


async def run_audit(o: Orchestration, principal: Principal, given: Given) -> Any:
    """Audit a notebook or a past run."""
    if ("notebook" in given) == ("task" in given):
        raise InvalidRequest(hint="give notebook or task, one of them")
    more = picked(given, "inputs", "reason")
    if "task" in given:
        spec = {**wire.encode(audit_of_run(await find(o, given["task"]))), **more}
    else:
        spec = {"notebook": given["notebook"], **more}
    return await submit_task(o, principal, {"kind": AUDIT, "spec": spec})


def _schedule(seen: ScheduleView) -> dict[str, Any]:
    return {
        "name": seen.schedule.plan.name,
        "state": seen.schedule.state,
        "when": seen.words,
        "next_due_at": [moment.isoformat() for moment in seen.next_due_at],
        "last_task": seen.schedule.last_task_id,
    }
