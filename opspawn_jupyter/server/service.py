"""What the handlers work with: open, still opening, or unable to open.

The Jupyter server starts at once; the store is opened behind its back. A store that cannot be
opened (another server holds it, the disk is full) leaves the extension degraded: every task route
answers with the reason, and opening is tried again.
"""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from opspawn_jupyter.buses.websocket import WebsocketBus
from opspawn_jupyter.errors import SettingInvalid, StoreUnavailable, Unavailable
from opspawn_jupyter.model.diagnosis import Diagnosis
from opspawn_jupyter.model.health import Health
from opspawn_jupyter.model.ids import new_id
from opspawn_jupyter.orchestrator.context import Orchestration
from opspawn_jupyter.server.anchors import Anchors
from opspawn_jupyter.server.background import Background
from opspawn_jupyter.server.html_export import HtmlExport
from opspawn_jupyter.server.known_token import KnownToken
from opspawn_jupyter.server.tools import Tools
from opspawn_jupyter.version import __version__

logger = logging.getLogger(__name__)

#: So many new ones, and it is time to look for garbage among them.
_YOUNG_OBJECTS = 10_000

#: How long a request waits for a store that is being opened.
_PATIENCE_SECONDS = 10.0


class Running(Protocol):
    """The system once it is open; see ``server/system.py``."""

    @property
    def orchestration(self) -> Orchestration:
        """What the verbs work with."""

    @property
    def bus(self) -> WebsocketBus:
        """Where websockets listen."""

    @property
    def worker_token(self) -> str:
        """The workers' secret."""

    @property
    def tools(self) -> Tools:
        """The tool broker, and who may call it."""

    @property
    def anchors(self) -> Anchors:
        """Heads of the history."""

    @property
    def problem(self) -> str | None:
        """What is wrong, and what to do about it, though tasks are accepted."""

    @property
    def notice(self) -> str | None:
        """What somebody should know and perhaps do, though nothing keeps tasks from running."""

    @property
    def unfinished_count(self) -> int:
        """How many tasks are not final."""

    async def diagnose(self, health: Health) -> Diagnosis:
        """What is known of all of it, for somebody who looks for a fault."""

    async def close(self) -> None:
        """Let go of everything."""


class Service:
    """The extension's one object, from the start of the server to its end."""

    def __init__(
        self,
        open_system: Callable[[], Awaitable[Running]],
        describe: Callable[[], Mapping[str, Any]],
        *,
        retry_seconds: float = 3.0,
    ) -> None:
        self._open_system = open_system
        self._retry_seconds = retry_seconds
        #: The OpenAPI document; called in a thread.
        self.describe = describe
        self.html_export = HtmlExport()
        self.known_token = KnownToken()
        self._running: Running | None = None
        self._problem: Unavailable = StoreUnavailable(hint="the server is still starting")
        self._settled = asyncio.Event()
        self._is_stopping = False
        self.background = Background()
        #: Tells clients that the server was restarted.
        self.instance = new_id()

    def start(self) -> None:
        """Begin to open the system."""
        self.background.start(self._open(), "open")

    async def stop(self) -> None:
        """Accept nothing more, end what runs here, close the system."""
        self._is_stopping = True
        await self.background.close()
        running, self._running = self._running, None
        if running is not None:
            await running.close()

    async def running(self) -> Running:
        """The open system. Raises the reason why there is none."""
        if not self._settled.is_set() and not self._is_stopping:
            try:
                await asyncio.wait_for(self._settled.wait(), _PATIENCE_SECONDS)
            except TimeoutError:
                raise self._problem from None
        if self._is_stopping:
            raise StoreUnavailable(hint="the server is stopping")
        if self._running is None:
            raise self._problem
        return self._running

    def worker_token(self) -> str | None:
        """The secret that a worker must show; None while there is no door for workers."""
        return self._running.worker_token if self._running else None

    def health(self) -> Health:
        """What anybody may know."""
        problem = self._running.problem if self._running else self._problem.message
        notice = self._running.notice if self._running else None
        return Health(
            status="ok" if problem is None else "degraded",
            version=__version__,
            problem=problem or notice,
        )

    def unfinished_count(self) -> int:
        """How many tasks are not final; 0 while the system is not open."""
        return self._running.unfinished_count if self._running else 0

    async def _open(self) -> None:
        try:
            await self._try_to_open()
            while self._running is None:
                await asyncio.sleep(self._retry_seconds)
                await self._try_to_open()
        except SettingInvalid as problem:  # trying again would not help
            self._degrade(Unavailable.restore(problem.message, problem.detail))

    async def _try_to_open(self) -> None:
        try:
            self._running = await self._open_system()
            # What is loaded by now stays. To look through it for garbage would stop the event loop
            # for a tenth of a second every few hundred tasks. What comes with a burst of tasks
            # stays until they have ended: to look every 700 objects is to find next to nothing.
            gc.freeze()
            gc.set_threshold(max(_YOUNG_OBJECTS, gc.get_threshold()[0]))
            logger.info("opspawn is ready instance=%s", self.instance)
        except Unavailable as problem:
            self._degrade(problem)
        except SettingInvalid:
            raise
        except Exception:  # the boundary of start-up: Jupyter itself must go on
            logger.exception("opspawn cannot start")
            self._degrade(StoreUnavailable(hint="the Jupyter server's log says why"))
        else:
            self._settled.set()

    def _degrade(self, problem: Unavailable) -> None:
        if problem.message != self._problem.message:
            logger.error("opspawn is degraded reason=%s", problem.message)
        self._problem = problem
        self._settled.set()
