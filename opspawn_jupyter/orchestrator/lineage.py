"""What went into a task and its parts, and what came out."""

from __future__ import annotations

import asyncio

from opspawn_jupyter.audit.lineage import run_lineage
from opspawn_jupyter.model.lineage import Lineage, Parent, job_name
from opspawn_jupyter.model.task import Task
from opspawn_jupyter.orchestrator.context import Orchestration
from opspawn_jupyter.orchestrator.workflow.load import children_of


async def lineage(o: Orchestration, task: Task) -> Lineage:
    """The task and its parts, in the order in which they were begun."""
    root = o.settings.root_directory
    above = await o.store.task(task.parent_id) if task.parent_id else None
    parent = Parent(task_id=above.id, job=above.name) if above is not None else None
    own = Parent(task_id=task.id, job=job_name(task, parent))
    parts = await children_of(o, task.id)
    runs = [await asyncio.to_thread(run_lineage, task, root, parent)]
    runs += [await asyncio.to_thread(run_lineage, part, root, own) for part in parts]
    return Lineage(runs=tuple(runs))
