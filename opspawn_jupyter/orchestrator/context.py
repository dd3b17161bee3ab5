"""What every verb works with."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from opspawn_jupyter.model.event import Draft, Event
from opspawn_jupyter.ports import Bus, Kind, Queue, Store
from opspawn_jupyter.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Orchestration:
    """The ports, wired once by the server."""

    store: Store
    queue: Queue
    bus: Bus
    kinds: Mapping[str, Kind]
    settings: Settings
    #: Held while a submission with an idempotency key is looked up and stored.
    key_lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def record(self, *drafts: Draft) -> tuple[Event, ...]:
        """Make the events durable, then tell them."""
        events = await self.store.append(drafts)
        self.bus.tell(events)
        return events
