"""Tasks in the order they came, for workers that ask this server.

Nothing is kept on disk: the store knows every queued task, and the queue is filled from it at
start. Used from the server's event loop only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress

from opspawn_jupyter.model.task import Task


class LocalQueue:
    """First come, first served."""

    def __init__(self) -> None:
        #: Task ids in order of arrival (a dict, for its order and quick removal).
        self._waiting: dict[str, None] = {}
        #: Worker by task id, of tasks that were handed out and have not started.
        self._handed: dict[str, str] = {}
        self._version = 0
        self._change = asyncio.Event()

    async def put(self, task: Task) -> None:
        """Append the task, unless it is waiting already."""
        self._waiting[task.id] = None
        self.notify()

    async def take(self, worker: str, free_slots: int, held: Mapping[str, int]) -> tuple[str, ...]:
        """The oldest tasks first; what got lost on the way to this worker before all."""
        lost = [id for id, to in self._handed.items() if to == worker and id not in held]
        taken = (*lost, *self._waiting)[: max(free_slots, 0)]
        for task_id in taken:
            self._waiting.pop(task_id, None)
            self._handed[task_id] = worker
        return taken

    async def remove(self, task_id: str) -> None:
        """Forget the task."""
        self._waiting.pop(task_id, None)
        self._handed.pop(task_id, None)

    async def release(self, worker: str) -> None:
        """Put the worker's unstarted tasks back, before the others."""
        back = [task_id for task_id, to in self._handed.items() if to == worker]
        for task_id in back:
            del self._handed[task_id]
        self._waiting = dict.fromkeys([*back, *self._waiting])
        self.notify()

    def notify(self) -> None:
        """Wake all who wait in ``changed``."""
        self._version += 1
        self._change.set()
        self._change = asyncio.Event()

    @property
    def version(self) -> int:
        """Grows with each change."""
        return self._version

    async def changed(self, since: int, timeout_seconds: float) -> None:
        """Return when the version is above ``since``, or after the time-out."""
        if self._version > since:
            return
        with suppress(TimeoutError):
            await asyncio.wait_for(self._change.wait(), timeout_seconds)
