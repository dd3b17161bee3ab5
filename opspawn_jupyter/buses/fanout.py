"""One bus that tells several."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from opspawn_jupyter.model.event import Event
from opspawn_jupyter.ports import Bus


class FanoutBus:
    """Tells each of its listeners in turn: the first at once, the others as soon as those had their
    turn whom it has woken. So people who wait for news do not wait for what is to follow it.
    """

    def __init__(self, first: Bus, *others: Bus) -> None:
        self._first = first
        self._others = others

    def tell(self, events: Sequence[Event]) -> None:
        """Pass the events on."""
        self._first.tell(events)
        asyncio.get_running_loop().call_soon(self._tell_others, events)

    def _tell_others(self, events: Sequence[Event]) -> None:
        for listener in self._others:
            listener.tell(events)
