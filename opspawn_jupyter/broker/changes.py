"""Who wants to hear that something changed at a server, and what a server is watched for."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from functools import partial

from opspawn_jupyter.broker.ports import Change, Connection
from opspawn_jupyter.model.tool import Principal

Hear = Callable[[Change], None]
#: A stream of changes that ended is opened again after this.
_AGAIN_SECONDS = 30.0


def sharers_of(principal: Principal) -> frozenset[str]:
    """Names of the connections that the caller shares, see ``Upstreams``."""
    return frozenset({"", f"user {principal.user}", f"task {principal.task_id}"})


class Changes:
    """Passes on what servers tell to those who may know of it."""

    def __init__(self) -> None:
        self._listeners: dict[object, tuple[Principal, str | None, Hear]] = {}

    def listen(self, principal: Principal, only: str | None, hear: Hear) -> Callable[[], object]:
        """Have ``hear`` called for changes at the server, or at all; gives what ends that."""
        key = object()
        self._listeners[key] = (principal, only, hear)
        return partial(self._listeners.pop, key, None)

    def tell(self, server: str, sharers: str, change: Change) -> None:
        """A connection of these sharers told it."""
        for principal, only, hear in list(self._listeners.values()):
            is_known = principal.may_reach(server) and sharers in sharers_of(principal)
            if is_known and only in (None, server):
                hear(change)


class Watch:
    """What callers want to hear of at one server, for as long as its connection is open."""

    def __init__(self) -> None:
        self._uris: Counter[str] = Counter()
        self._is_other = asyncio.Event()

    @property
    def is_wanted(self) -> bool:
        """Whether somebody waits for news of a resource."""
        return bool(self._uris)

    def add(self, uri: str) -> None:
        """One more wants to hear of this resource."""
        self._uris[uri] += 1
        self._is_other.set()

    def drop(self, uri: str) -> None:
        """One less does."""
        self._uris[uri] -= 1
        if self._uris[uri] <= 0:
            del self._uris[uri]
        self._is_other.set()

    async def run(self, connection: Connection, hear: Hear) -> None:
        """Until it is cancelled."""
        while True:
            self._is_other.clear()
            hearing = asyncio.ensure_future(connection.watch(hear, frozenset(self._uris)))
            other = asyncio.ensure_future(self._is_other.wait())
            try:
                await asyncio.wait({hearing, other}, return_when=asyncio.FIRST_COMPLETED)
                await asyncio.wait({other}, timeout=_AGAIN_SECONDS)
            finally:
                hearing.cancel()
                other.cancel()
                await asyncio.gather(hearing, other, return_exceptions=True)
