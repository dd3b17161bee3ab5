"""The places of one upstream server: so many calls at once, some more that wait, no others."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from opspawn_jupyter.broker.config import ServerConfig
from opspawn_jupyter.errors import ToolLimitReached

#: Callers that wait for one of the places, as a multiple of these.
_WAITING_PER_PLACE = 32


class Places:
    """Who calls, who waits, and since when nobody has."""

    def __init__(self, config: ServerConfig) -> None:
        self._server = config.name
        self._most_waiting = config.rules.max_concurrency * _WAITING_PER_PLACE
        self._free = asyncio.Semaphore(config.rules.max_concurrency)
        self._waiting = 0
        self._users = 0
        self._used_at = time.monotonic()

    @asynccontextmanager
    async def hold(self) -> AsyncIterator[None]:
        """A place for the length of a block. Raises ``ToolLimitReached`` where too many wait."""
        if self._waiting >= self._most_waiting:
            raise ToolLimitReached(self._server, hint="too many calls wait for it")
        self._waiting += 1
        try:
            await self._free.acquire()
        finally:
            self._waiting -= 1
        self._users += 1
        try:
            yield
        finally:
            self._users -= 1
            self._used_at = time.monotonic()
            self._free.release()

    @property
    def unused_seconds(self) -> float:
        """How long nobody has called."""
        return 0.0 if self._users else time.monotonic() - self._used_at
