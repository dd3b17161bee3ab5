"""Why each step of a run ran, or did not have to."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from opspawn_jupyter.model.step_cache import CACHE_NAME, Explanation, StepExplanation
from opspawn_jupyter.model.task import Task
from opspawn_jupyter.orchestrator.context import Orchestration
from opspawn_jupyter.orchestrator.workflow.history import recall


async def explain(o: Orchestration, reference: str) -> Explanation:
    """What the cache said of each step of the run. Raises as ``recall`` does."""
    progress = await recall(o, reference)
    tasks = [task for step in progress.steps.values() for task in step.tasks.values()]
    kept = set(progress.task.spec.get("reuse", {}))
    root = o.settings.root_directory
    steps = await asyncio.to_thread(lambda: [_explanation(root, task, kept) for task in tasks])
    return Explanation(workflow=progress.task.id, steps=tuple(steps))


def _explanation(root: Path, task: Task, kept: set[str]) -> StepExplanation:
    name = task.step or ""
    if name in kept and task.reused_from:
        reasons: tuple[str, ...] = ("kept from the run that this one repairs",)
        return StepExplanation(
            step=name,
            verdict="hit",
            reasons=reasons,
            task_id=task.id,
            compared_with=task.reused_from,
        )
    record = _record(root / task.run_directory / CACHE_NAME)
    if record is None:
        reason = task.error.message if task.state.value == "skipped" and task.error else ""
        why = f"it was skipped: {reason}" if reason else "it does not use the cache"
        return StepExplanation(step=name, verdict="off", reasons=(why,), task_id=task.id)
    return StepExplanation(
        step=name,
        verdict=record["verdict"],
        reasons=tuple(record["changes"]) or ("nothing is different",),
        task_id=task.id,
        compared_with=record.get("compared_with"),
    )


def _record(path: Path) -> dict[str, Any] | None:
    try:
        record: dict[str, Any] = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return record
