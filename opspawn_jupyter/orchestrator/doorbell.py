"""Wakes those in this process who wait for news of one thing, by its id."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


class Doorbell:
    """Who listens for which id. Used from the server's event loop only."""

    def __init__(self) -> None:
        self._listening: dict[str, set[asyncio.Future[None]]] = {}

    def ring(self, id: str) -> None:
        """There is news of it."""
        for waiter in self._listening.pop(id, ()):
            if not waiter.done():
                waiter.set_result(None)

    @contextmanager
    def listening(self, id: str) -> Iterator[asyncio.Future[None]]:
        """Done as soon as there is news. Look at the thing itself within the block, so that
        nothing falls between the look and the wait."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._listening.setdefault(id, set()).add(waiter)
        try:
            yield waiter
        finally:
            waiter.cancel()
            waiters = self._listening.get(id, set())
            waiters.discard(waiter)
            if not waiters:
                self._listening.pop(id, None)
