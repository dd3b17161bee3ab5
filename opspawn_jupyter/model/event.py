"""An event: one appended fact. State changes only by events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from opspawn_jupyter.model.clock import now
from opspawn_jupyter.model.states import EventType


@dataclass(frozen=True, kw_only=True)
class Draft:
    """An event that somebody wants appended."""

    task_id: str
    type: EventType
    data: Mapping[str, Any] = field(default_factory=dict)
    at: datetime = field(default_factory=now)
    #: The try that it belongs to; 0 for events that belong to none.
    attempt: int = 0
    #: The worker's own count of its durable reports on this attempt, from 1; 0 for events that
    #: the server makes. A report whose number was seen before changes nothing.
    number: int = 0


@dataclass(frozen=True, kw_only=True)
class Event(Draft):
    """An event in its place in the journal."""

    #: Place in the journal, from 1, without gaps. An event that is not durable carries the seq
    #: of the durable one before it.
    seq: int
    #: SHA-256 over the hash before it and this event: the journal is a chain. Empty for events
    #: that are not durable.
    hash: str = ""
