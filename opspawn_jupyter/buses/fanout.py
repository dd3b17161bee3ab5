"""One bus that tells several."""

from __future__ import annotations

from collections.abc import Sequence

from opspawn_jupyter.model.event import Event
from opspawn_jupyter.ports import Bus


class FanoutBus:
    """Tells each of its listeners in turn."""

    def __init__(self, *listeners: Bus) -> None:
        self._listeners = listeners

    def tell(self, events: Sequence[Event]) -> None:
        """Pass the events on."""
        for listener in self._listeners:
            listener.tell(events)
