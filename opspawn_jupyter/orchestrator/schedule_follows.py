"""What a schedule follows: other schedules, and workflows whoever runs them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from opspawn_jupyter.errors import InvalidRequest, NotFound
from opspawn_jupyter.model.schedule import Plan
from opspawn_jupyter.model.task import TaskQuery
from opspawn_jupyter.orchestrator.context import Orchestration
from opspawn_jupyter.orchestrator.schedule_record import every_schedule, find_known

_FILES = (".yaml", ".yml")


async def checked_follows(o: Orchestration, plan: Plan) -> Plan:
    """The plan with files of workflows relative to the root. Raises ``NotFound`` for what there is
    none of, ``InvalidRequest`` where schedules would start each other for ever."""
    if not (plan.follows or plan.follows_workflows):
        return plan
    for name in plan.follows:
        await find_known(o, name)
    workflows = [await _workflow(o, given) for given in plan.follows_workflows]
    plan = replace(plan, follows_workflows=tuple(workflows))
    plans = [current.schedule.plan for current in await every_schedule(o)]
    others = [one for one in plans if one.name != plan.name]
    await asyncio.to_thread(_check_circle, o.settings.root_directory, plan, others)
    return plan


async def _workflow(o: Orchestration, workflow: str) -> str:
    if workflow.endswith(_FILES):
        path = await asyncio.to_thread(_relative, o.settings.root_directory, workflow)
        if path is None:
            hint = "there is no such file under the server's root"
            raise NotFound(workflow, hint=hint)
        return path
    page = await o.store.tasks(TaskQuery(kind="workflow", name=workflow, is_top=True))
    if not any(task.name == workflow for task in page.tasks):
        hint = "no workflow of this name has run yet; name its file, as flows/nightly.yaml"
        raise NotFound(workflow, hint=hint)
    return workflow


def _relative(root: Path, workflow: str) -> str | None:
    path = (root / workflow).resolve()
    is_there = path.is_relative_to(root.resolve()) and path.is_file()
    return path.relative_to(root.resolve()).as_posix() if is_there else None


def _check_circle(root: Path, plan: Plan, others: Sequence[Plan]) -> None:
    """Goes from the plan to what starts it, to what starts that, and so on."""
    seen: set[str] = set()
    waiting = [plan]
    while waiting:
        for upstream in _upstream(root, waiting.pop(), [plan, *others]):
            if upstream is plan:
                hint = "they would start each other for ever"
                raise InvalidRequest(", ".join((*plan.follows, *plan.follows_workflows)), hint=hint)
            if upstream.name not in seen:
                seen.add(upstream.name)
                waiting.append(upstream)


def _upstream(root: Path, plan: Plan, plans: Sequence[Plan]) -> list[Plan]:
    """Those of the plans whose tasks start one of this plan."""
    workflows = plan.follows_workflows
    return [
        one
        for one in plans
        if one.name in plan.follows or (workflows and _runs(root, one) in workflows)
    ]


def _runs(root: Path, plan: Plan) -> str | None:
    """The file of the workflow that it runs."""
    path = plan.submission.spec.get("path") if plan.submission.kind == "workflow" else None
    return _relative(root, path) if isinstance(path, str) else None
