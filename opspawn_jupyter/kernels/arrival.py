"""Waiting for what comes on a line, without a task for each wait."""

from __future__ import annotations

import asyncio
from typing import TypeAlias

#: A part of a message.
Part: TypeAlias = bytes | memoryview


class Arrival:
    """One waits; whoever sees something come says so. Belongs to one event loop."""

    _waiter: asyncio.Future[bool] | None = None

    def tell(self) -> None:
        """Something has come, or may have."""
        _resolve(self._waiter, True)

    async def wait(self, timeout_seconds: float) -> bool:
        """Whether something came in time."""
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[bool] = loop.create_future()
        self._waiter = waiter
        timer = loop.call_later(timeout_seconds, _resolve, waiter, False)
        try:
            return await waiter
        finally:
            timer.cancel()
            self._waiter = None


def _resolve(waiter: asyncio.Future[bool] | None, has_come: bool) -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(has_come)
