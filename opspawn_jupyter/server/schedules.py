"""What schedules need while the server runs: the loop, the ends of their tasks, files that come."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from functools import partial

from opspawn_jupyter.buses.hooks import HookBus
from opspawn_jupyter.errors import OpspawnError
from opspawn_jupyter.model.event import Event
from opspawn_jupyter.model.firing import Ended
from opspawn_jupyter.model.states import ENDS
from opspawn_jupyter.orchestrator.context import Orchestration
from opspawn_jupyter.orchestrator.schedule_loop import keep_scheduling
from opspawn_jupyter.orchestrator.schedule_outcome import follow_up
from opspawn_jupyter.server.background import Background
from opspawn_jupyter.server.file_watch import watch_files
from opspawn_jupyter.server.schedule_aftermath import Aftermath

logger = logging.getLogger(__name__)


class Schedules:
    """A ``Bus`` that hears of tasks' ends, and the owner of all that schedules do."""

    def __init__(self, hooks: HookBus) -> None:
        self._ended: asyncio.Queue[Event] = asyncio.Queue()
        self._aftermath = Aftermath(hooks)
        self._background = Background()

    def tell(self, events: Sequence[Event]) -> None:
        """See ``Bus.tell``."""
        for event in events:
            if event.type in ENDS:
                self._ended.put_nowait(event)

    def start(self, o: Orchestration) -> None:
        """Begin. The loop takes up what the last server left."""
        self._background.start(keep_scheduling(o, partial(self._settle, o)), "schedules")
        self._background.start(self._follow(o), "schedules' outcomes")
        self._background.start(watch_files(o), "schedules' files")

    async def close(self) -> None:
        """End all of it; the next server goes on."""
        await self._background.close()

    async def _follow(self, o: Orchestration) -> None:
        while True:
            event = await self._ended.get()
            try:
                await self._account_for(o, event)
            except OpspawnError:  # the store is full, say: the next server takes it up
                logger.exception("schedule not advanced task_id=%s", event.task_id)

    async def _account_for(self, o: Orchestration, event: Event) -> None:
        task = await o.store.task(event.task_id)
        if task is None:
            return
        ended = await follow_up(o, task)
        if ended is not None:
            self._settle(o, ended)

    def _settle(self, o: Orchestration, ended: Ended) -> None:
        work = self._aftermath.settle(o, ended)
        self._background.start(work, f"aftermath of {ended.task.id}")
