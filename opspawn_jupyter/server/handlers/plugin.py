"""Plugins: what steps can do besides notebooks."""

from __future__ import annotations

import asyncio

from jupyter_server.auth.decorator import authorized
from tornado import web

from opspawn_jupyter.model.plugin import PluginList
from opspawn_jupyter.server.handlers.base import ApiHandler


class PluginsHandler(ApiHandler):
    """All plugins that are installed."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Name them, with what their configuration looks like."""
        await self.answer(await asyncio.to_thread(_listed))


def _listed() -> PluginList:
    from opspawn_jupyter.plugins.listing import listed  # imports pydantic and the plugins

    return PluginList(plugins=listed())
