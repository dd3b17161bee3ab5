"""What is to happen at a given time, kept in memory: the store knows it too, for the next start."""

from __future__ import annotations

import asyncio
import heapq
from contextlib import suppress
from datetime import datetime

from opspawn_jupyter.model import clock

#: The system's clock can be set, and stands still for asyncio while a laptop sleeps: so it is
#: looked at again after this time, though only while something is due at all.
_LONGEST_TRUST_SECONDS = 60.0


class Alarm:
    """Ids of tasks, or of schedules, by the time at which they are due. Used from the server's
    event loop only."""

    def __init__(self, longest_trust_seconds: float = _LONGEST_TRUST_SECONDS) -> None:
        self._longest_trust_seconds = longest_trust_seconds
        self._due: list[tuple[datetime, str]] = []
        self._change = asyncio.Event()

    def set(self, task_id: str, due_at: datetime) -> None:
        """Have it wake the task then. What comes of a task that has moved on meanwhile is for the
        waker to see."""
        heapq.heappush(self._due, (due_at, task_id))
        self._change.set()

    @property
    def first_due_at(self) -> datetime | None:
        """When the first of them is due; None where nothing is."""
        return self._due[0][0] if self._due else None

    def __len__(self) -> int:
        return len(self._due)

    def pop_due(self, now: datetime, most: int) -> list[str]:
        """Up to so many tasks whose time has come, the longest due first."""
        due: list[str] = []
        while self._due and self._due[0][0] <= now and len(due) < most:
            due.append(heapq.heappop(self._due)[1])
        return due

    async def wait(self) -> None:
        """Return when something is due, or may be."""
        self._change.clear()
        timeout_seconds = None
        if self.first_due_at is not None:
            remaining_seconds = (self.first_due_at - clock.now()).total_seconds()
            timeout_seconds = min(max(remaining_seconds, 0.0), self._longest_trust_seconds)
        with suppress(TimeoutError):
            await asyncio.wait_for(self._change.wait(), timeout_seconds)
