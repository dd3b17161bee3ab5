"""What a schedule leaves when a task of it has ended: a link to the latest run, a web page of it,
no more run directories than it keeps, and word of a result that changed."""

from __future__ import annotations

import asyncio
import logging
import os
import re
from pathlib import Path

from opspawn_jupyter.buses.hooks import HookBus
from opspawn_jupyter.errors import OpspawnError
from opspawn_jupyter.files import write_atomic
from opspawn_jupyter.model.retention import PruneRequest
from opspawn_jupyter.model.run_directory import RunDirectory
from opspawn_jupyter.model.schedule import SCHEDULE_LABEL, Schedule
from opspawn_jupyter.model.states import State
from opspawn_jupyter.model.task import Task
from opspawn_jupyter.orchestrator.context import Orchestration
from opspawn_jupyter.orchestrator.prune import prune
from opspawn_jupyter.server.html_export import HtmlExport

logger = logging.getLogger(__name__)

#: In the directory of runs: a link for each schedule.
LATEST = "latest"
_UNSAFE = re.compile(r"[^\w.-]+")


class Aftermath:
    """Does it, one web page at a time."""

    def __init__(self, hooks: HookBus) -> None:
        self._hooks = hooks
        self._export = HtmlExport(most_at_once=1)

    async def settle(self, o: Orchestration, before: Schedule, after: Schedule, task: Task) -> None:
        """Whatever the schedule asks for. What cannot be done is logged: the run itself is good."""
        directory = RunDirectory(o.settings.root_directory / task.run_directory)
        plan = after.plan
        try:
            if plan.html:
                await self._page(directory)
            await asyncio.to_thread(_link, o.settings.runs_directory, after.name, directory)
            if plan.keep_runs:
                request = PruneRequest(keep=plan.keep_runs, labels={SCHEDULE_LABEL: after.name})
                await prune(o, request, by=f"schedule {after.name}")
        except (OpspawnError, OSError) as problem:
            logger.warning("schedule's output failed task_id=%s reason=%s", task.id, problem)
        if plan.on_change and _has_changed(before, after, task):
            self._hooks.announce(plan.on_change, task)

    async def _page(self, directory: RunDirectory) -> None:
        if not await asyncio.to_thread(directory.output.exists):
            return
        async with self._export.page(directory.output) as page:
            content = await asyncio.to_thread(page.read_bytes)
        await asyncio.to_thread(write_atomic, directory.path / "output.html", content)


def _has_changed(before: Schedule, after: Schedule, task: Task) -> bool:
    return (
        task.state is State.SUCCESS
        and before.result_digest is not None
        and before.result_digest != after.result_digest
    )


def _link(runs: Path, name: str, directory: RunDirectory) -> None:
    """Let the schedule's link lead to this run; a reader finds the one before or this one."""
    latest = runs / LATEST
    latest.mkdir(exist_ok=True)
    link = latest / _UNSAFE.sub("-", name)
    temporary = latest / f".{link.name}.{os.getpid()}.tmp"
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(Path("..") / directory.path.name, target_is_directory=True)
    temporary.replace(link)
