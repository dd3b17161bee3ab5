"""Questions to the history."""

from __future__ import annotations

from jupyter_server.auth.decorator import authorized
from tornado import web

from opspawn_jupyter.server.handlers.base import ApiHandler
from opspawn_jupyter.server.schemas import SqlRequest


class SqlHandler(ApiHandler):
    """Read-only SQL."""

    @web.authenticated
    @authorized("read")  # type: ignore[untyped-decorator] # its hints lack this use
    async def post(self) -> None:
        """Answer one query. A POST, because queries are long; nothing is written."""
        o = await self.orchestration()
        await self.answer(await o.store.sql((await self.body(SqlRequest)).query))
