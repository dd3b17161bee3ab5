"""The SDK's HTTP side of MCP, open from the first request to the end of the server.

It is entered and left in one task (anyio's rule), whoever asks for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from importlib import import_module
from typing import Any

from opspawn_jupyter.broker.broker import ToolBroker
from opspawn_jupyter.errors import StoreUnavailable
from opspawn_jupyter.server.mcp_verbs import Verbs

_END_SECONDS = 2.0
_MOST_SESSIONS = 1_000


class McpSessions:
    """Sessions of clients, and the ASGI application that serves them."""

    def __init__(self, broker: ToolBroker, verbs: Verbs) -> None:
        self._broker = broker
        self._verbs = verbs
        self._owner: asyncio.Task[None] | None = None
        self._opening: asyncio.Future[Any] | None = None
        self._end = asyncio.Event()

    async def application(self) -> Callable[..., Any]:
        """The ASGI application. The first call imports the SDK, in a thread."""
        if self._end.is_set():
            raise StoreUnavailable(hint="the server is stopping")
        if self._opening is None:
            self._opening = asyncio.get_running_loop().create_future()
            self._owner = asyncio.get_running_loop().create_task(
                self._own(self._opening), name="mcp sessions"
            )
        application: Callable[..., Any] = await asyncio.shield(self._opening)
        return application

    async def close(self) -> None:
        """End every session."""
        self._end.set()
        if self._owner is not None:
            done, _ = await asyncio.wait({self._owner}, timeout=_END_SECONDS)
            if not done:
                self._owner.cancel()

    async def _own(self, opening: asyncio.Future[Any]) -> None:
        try:
            manager = await asyncio.to_thread(self._manager)
            async with manager.run():
                opening.set_result(manager.handle_request)
                await self._end.wait()
        except Exception as failure:
            if opening.done():
                raise
            opening.set_exception(failure)

    def _manager(self) -> Any:  # the SDK's session manager; its type would import the SDK
        endpoint = import_module("opspawn_jupyter.broker.endpoint")
        tasks = import_module("opspawn_jupyter.broker.tasks_extension")
        served = endpoint.Endpoint(self._broker, self._verbs.tools())
        listening = import_module("opspawn_jupyter.broker.listening")
        tasks.TasksExtension(served, self._verbs)
        listening.Listening(served, self._broker)
        replay = import_module("opspawn_jupyter.broker.replay")
        return replay.Sessions(served.server, _MOST_SESSIONS)
