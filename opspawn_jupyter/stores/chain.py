"""Events as bytes, and the chain of hashes that ties each to the one before.

What is hashed says ``model/event_hash.py``. Whoever changes, drops or swaps an event breaks every
link after it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from datetime import UTC
from typing import Any, NamedTuple

from opspawn_jupyter.model import event_hash, wire
from opspawn_jupyter.model.change import changed
from opspawn_jupyter.model.event import Draft, Event
from opspawn_jupyter.model.event_hash import compact, is_linked

__all__ = ["compact", "first_break", "is_linked", "link", "place"]

#: What ``link`` makes: what was hashed less its end, with the seq, and the hash.
_LINE = re.compile(rb'(\{"seq":([0-9]+),.*),"hash":"([0-9a-f]{64})"\}', re.DOTALL)


class Place(NamedTuple):
    """Where an event says that it stands."""

    seq: int
    hash: str
    #: What was hashed.
    body: bytes

    def follows(self, previous: str) -> bool:
        """As ``is_linked``, in a tenth of the time."""
        return self.hash == event_hash.digest(previous, self.body)


def link(draft: Draft, seq: int, previous: str) -> tuple[Event, bytes]:
    """The draft in its place in the chain, and its JSON as the journal keeps it.

    Raises ``TypeError`` or ``ValueError`` where its data is not JSON.
    """
    event = _placed(draft, seq)
    try:
        body = event_hash.body(event)
    except ValueError:  # NaN, or half of a surrogate pair: no database takes these
        event = changed(event, data=_mended(event.data))
        body = event_hash.body(event)
    digest = event_hash.digest(previous, body)
    vars(event)["hash"] = digest  # nobody has seen it yet
    line = body[:-1] + b',"hash":"%s"}' % digest.encode()
    event_hash.keep_written(event, line)
    return event, line


def place(line: bytes) -> Place | None:
    """What an event's JSON, as the journal keeps it, says of its place in the chain, without making
    the event; None where it is not such a JSON."""
    found = _LINE.fullmatch(line)
    return Place(int(found[2]), found[3].decode(), found[1] + b"}") if found else None


def first_break(events: Iterable[Event], previous: str = "") -> Event | None:
    """The first event that is not what was written, or does not follow the one before it."""
    for event in events:
        if not is_linked(event, previous):
            return event
        previous = event.hash
    return None


def _placed(draft: Draft, seq: int) -> Event:
    """As ``Event(**vars(draft), …)``, in a third of the time."""
    event = object.__new__(Event)
    # What a worker has reported came as JSON.
    data = draft.data if draft.number else wire.encode(draft.data)
    at = draft.at if draft.at.tzinfo is UTC else draft.at.astimezone(UTC)
    vars(event).update(vars(draft), at=at, data=data, seq=seq, hash="")
    return event


def _mended(value: Any) -> Any:
    """The nearest value that is JSON in UTF-8."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    if isinstance(value, Mapping):
        return {_mended(key): _mended(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_mended(item) for item in value]
    return value
