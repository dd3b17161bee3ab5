"""What the server says about itself."""

from __future__ import annotations

import asyncio

from jupyter_server.auth.decorator import allow_unauthenticated, authorized
from tornado import web

from opspawn_jupyter.server.handlers.base import ApiHandler


class HealthHandler(ApiHandler):
    """Whether tasks can be submitted."""

    # A probe is no sign of a person at work.
    _track_activity = False

    @allow_unauthenticated
    async def get(self) -> None:
        """Tell anybody."""
        await self.answer(self.service.health())


class OpenApiHandler(ApiHandler):
    """The description of this interface."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Give it."""
        await self.answer(await asyncio.to_thread(self.service.describe))
