"""Room for new runs."""

from __future__ import annotations

from jupyter_server.auth.decorator import authorized
from tornado import web

from opspawn_jupyter.model.retention import PruneRequest
from opspawn_jupyter.orchestrator.prune import prune
from opspawn_jupyter.server.handlers.base import ApiHandler


class PruneHandler(ApiHandler):
    """The end of run directories that nobody needs any more."""

    @web.authenticated
    @authorized
    async def post(self) -> None:
        """Remove them, or only name them."""
        o = await self.orchestration()
        await self.answer(await prune(o, await self.body(PruneRequest), self.caller))
