"""What every verb works with."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property

from opspawn_jupyter.model.event import Draft, Event
from opspawn_jupyter.orchestrator.alarm import Alarm
from opspawn_jupyter.orchestrator.breaker import Breakers, Rule
from opspawn_jupyter.orchestrator.doorbell import Doorbell
from opspawn_jupyter.orchestrator.trigger_index import TriggerIndex
from opspawn_jupyter.pace import Pace
from opspawn_jupyter.ports import Bus, Keys, Kind, Queue, Store
from opspawn_jupyter.settings import Settings

#: Reading a notebook, checking it and making its run directory, as much as an ordinary handler
#: takes.
_QUICK_PINNING_SECONDS = 0.001
#: So many that were quick, and the next ones are expected to be: there is only one for a task.
_PINNING_PROOF = 3


@dataclass(frozen=True, kw_only=True)
class Orchestration:
    """The ports, wired once by the server."""

    store: Store
    queue: Queue
    bus: Bus
    kinds: Mapping[str, Kind]
    settings: Settings
    #: What lets kernels of tasks in; None where nothing does.
    keys: Keys | None = None
    #: Held while a submission with an idempotency key is looked up and stored.
    key_lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    #: Held while run directories are removed.
    prune_lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    #: Tasks whose withdrawal is on its way to the disk: no worker is given them any more.
    withdrawing: set[str] = field(default_factory=set)
    #: Workers of an earlier server that have not yet said what it had handed them.
    unheard_workers: set[str] = field(default_factory=set)
    #: How often each worker has asked for work.
    turns: dict[str, int] = field(default_factory=dict)
    #: When tasks that wait for their time are due.
    alarm: Alarm = field(default_factory=Alarm)
    #: When schedules are due. A clock that jumps, or a machine that slept, is noticed within
    #: seconds.
    schedule_alarm: Alarm = field(default_factory=lambda: Alarm(longest_trust_seconds=5.0))
    #: Schedules that something other than the clock starts.
    triggers: TriggerIndex = field(default_factory=TriggerIndex)
    #: Whether submissions are checked and pinned quickly here.
    pinning: Pace = field(
        default_factory=lambda: Pace(_QUICK_PINNING_SECONDS, proof=_PINNING_PROOF)
    )
    #: Who in this process waits for news of a record.
    doorbell: Doorbell = field(default_factory=Doorbell)

    @cached_property
    def breakers(self) -> Breakers:
        """The circuit breakers of the kinds."""
        rule = Rule(
            failures=self.settings.breaker_failures,
            window=timedelta(seconds=self.settings.breaker_window_seconds),
            cooldown=timedelta(seconds=self.settings.breaker_cooldown_seconds),
        )
        return Breakers(self.queue, rule)

    async def record(self, *drafts: Draft) -> tuple[Event, ...]:
        """Make the events durable, then tell them."""
        events = await self.store.append(drafts)
        self.tell(events)
        return events

    def tell(self, events: Sequence[Event]) -> None:
        """Let everybody know what happened."""
        self.bus.tell(events)
        for event in events:
            if event.type.subject is not None:
                self.doorbell.ring(event.data["id"])
