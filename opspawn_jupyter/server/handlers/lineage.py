"""Lineage of tasks."""

from __future__ import annotations

from jupyter_server.auth.decorator import authorized
from tornado import web

from opspawn_jupyter.orchestrator.lineage import lineage
from opspawn_jupyter.server.handlers.task import TaskHandler


class TaskLineageHandler(TaskHandler):
    """What went into a task and its parts, and what came out."""

    @web.authenticated
    @authorized
    async def get(self, reference: str) -> None:
        """Give it as far as it is known."""
        task = await self.find_task(reference)
        await self.answer(await lineage(await self.orchestration(), task))
