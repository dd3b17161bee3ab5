"""Events as bytes, and the chain of hashes that ties each to the one before.

The body of an event is its compact JSON, members in the order of ``_body``, without ``hash``.
``hash`` is the SHA-256, in hex, over the previous event's hash (nothing before the first) and
the body. Whoever changes, drops or swaps an event breaks every link after it.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC
from typing import Any

from opspawn_jupyter.model import wire
from opspawn_jupyter.model.event import Draft, Event

#: Made once: that takes longer than to encode an event.
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def link(draft: Draft, seq: int, previous: str) -> tuple[Event, bytes]:
    """The draft in its place in the chain, and its JSON as the journal keeps it.

    Raises ``TypeError`` or ``ValueError`` where its data is not JSON.
    """
    given = {**vars(draft), "at": draft.at.astimezone(UTC), "data": wire.encode(draft.data)}
    event = Event(**given, seq=seq)
    try:
        body = _body(event)
    except ValueError:  # NaN, or half of a surrogate pair: no database takes these
        event = replace(event, data=_mended(event.data))
        body = _body(event)
    digest = _digest(previous, body)
    return replace(event, hash=digest), body[:-1] + b',"hash":"%s"}' % digest.encode()


def is_linked(event: Event, previous: str) -> bool:
    """Whether the event is unchanged and follows the one whose hash is given."""
    return event.hash == _digest(previous, _body(event))


def first_break(events: Iterable[Event], previous: str = "") -> Event | None:
    """The first event that is not what was written, or does not follow the one before it."""
    for event in events:
        if not is_linked(event, previous):
            return event
        previous = event.hash
    return None


def _digest(previous: str, body: bytes) -> str:
    return hashlib.sha256(previous.encode() + body).hexdigest()


def _body(event: Event) -> bytes:
    members: Mapping[str, Any] = {
        "seq": event.seq,
        "at": event.at.isoformat(),
        "task_id": event.task_id,
        "attempt": event.attempt,
        "number": event.number,
        "type": event.type.value,
        "data": event.data,
    }
    return compact(members).encode()


def compact(value: Any) -> str:
    """JSON without spaces. Raises ``ValueError`` for NaN and infinity."""
    return _ENCODER.encode(value)


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
