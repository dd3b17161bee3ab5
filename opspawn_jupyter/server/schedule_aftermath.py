"""What a schedule leaves when a task of it has ended: a link to the latest run, a web page of it,
no more run directories than it keeps, and word of a result that changed."""

from __future__ import annotations

import asyncio
import logging
import os
from pathlib import Path

from opspawn_jupyter.buses.hooks import HookBus
from opspawn_jupyter.errors import OpspawnError
from opspawn_jupyter.files import write_atomic
from opspawn_jupyter.model import clock
from opspawn_jupyter.model.firing import Ended
from opspawn_jupyter.model.retention import PruneRequest
from opspawn_jupyter.model.run_directory import RunDirectory
from opspawn_jupyter.model.schedule import SCHEDULE_ID_LABEL, Plan
from opspawn_jupyter.orchestrator.context import Orchestration
from opspawn_jupyter.orchestrator.prune import prune
from opspawn_jupyter.orchestrator.schedule_files import latest_link
from opspawn_jupyter.orchestrator.schedule_unsettled import settled
from opspawn_jupyter.server.html_export import HtmlExport
from opspawn_jupyter.server.pdf_export import print_pdf

logger = logging.getLogger(__name__)


class Aftermath:
    """Does it, one web page at a time."""

    def __init__(self, hooks: HookBus) -> None:
        self._hooks = hooks
        self._export = HtmlExport(most_at_once=1)

    async def settle(self, o: Orchestration, ended: Ended) -> None:
        """Whatever the schedule asks for. What cannot be done is logged: the run itself is good. A
        server that is stopped meanwhile leaves the rest to the next."""
        task, schedule = ended.task, ended.schedule
        directory = RunDirectory(o.settings.root_directory / task.run_directory)
        plan = schedule.plan
        try:
            if not ended.is_repeated or task.id == schedule.last_task_id:
                await asyncio.to_thread(_link, latest_link(o.settings, plan.name), directory)
            if plan.keep_runs:
                labels = {SCHEDULE_ID_LABEL: schedule.id}
                request = PruneRequest(keep=plan.keep_runs, labels=labels)
                await prune(o, request, by=f"schedule {plan.name}")
        except (OpspawnError, OSError) as problem:
            logger.warning("schedule's output failed task_id=%s reason=%s", task.id, problem)
        await asyncio.gather(self._announce(ended), self._papers(plan, directory))
        await settled(o, ended)

    async def _announce(self, ended: Ended) -> None:
        """Tell whom it concerns that it is well again, or that its result is another one."""
        plan, left = ended.schedule.plan, ended.left
        recovery = plan.on_recovery if left.is_recovery else ()
        change = plan.on_change if left.is_change else ()
        await self._hooks.announce((*recovery, *change), ended.task)

    async def _papers(self, plan: Plan, directory: RunDirectory) -> None:
        """The run's notebook in other forms. What cannot be is said in its log."""
        if not (plan.html or plan.pdf) or not await asyncio.to_thread(directory.output.exists):
            return
        try:
            async with self._export.page(directory.output) as page:
                if plan.html:
                    content = await asyncio.to_thread(page.read_bytes)
                    await asyncio.to_thread(write_atomic, directory.path / "output.html", content)
                if plan.pdf:
                    content = await print_pdf(page)
                    await asyncio.to_thread(write_atomic, directory.path / "output.pdf", content)
        except (OpspawnError, OSError) as problem:
            logger.warning("no paper of a run path=%s reason=%s", directory.path, problem)
            await asyncio.to_thread(_note, directory, f"no web page or PDF of it: {problem}")


def _note(directory: RunDirectory, text: str) -> None:
    """A line at the end of the run's log, for whoever misses the file."""
    try:
        with directory.log.open("a", encoding="utf-8") as log:
            log.write(f"{clock.now():%Y-%m-%d %H:%M:%S}Z {text}\n")
    except OSError as failure:
        logger.warning("log of a run not written path=%s reason=%s", directory.log, failure)


def _link(link: Path, directory: RunDirectory) -> None:
    """Let the schedule's link lead to this run; a reader finds the one before or this one."""
    link.parent.mkdir(exist_ok=True)
    temporary = link.with_name(f".{link.name}.{os.getpid()}.tmp")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(Path("..") / directory.path.name, target_is_directory=True)
    temporary.replace(link)
