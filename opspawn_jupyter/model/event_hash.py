"""The bytes that an event's hash is made of.

The body of an event is its compact JSON, members in the order of ``body``, without ``hash``.
``hash`` is the SHA-256, in hex, over the previous event's hash (nothing before the first) and
the body.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from opspawn_jupyter.model.event import Event

#: Made once: that takes longer than to encode an event.
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def is_linked(event: Event, previous: str) -> bool:
    """Whether the event is unchanged and follows the one whose hash is given."""
    return event.hash == digest(previous, body(event))


def digest(previous: str, body: bytes) -> str:
    """The hash of an event with this body that follows the one with the previous hash."""
    return hashlib.sha256(previous.encode() + body).hexdigest()


def body(event: Event) -> bytes:
    """The event's JSON without its hash. Raises ``ValueError`` for NaN and infinity."""
    return compact(members(event)).encode()


def members(event: Event) -> Mapping[str, Any]:
    """What of the event is hashed, as JSON has it where its data is JSON already."""
    return {
        "seq": event.seq,
        "at": event.at.isoformat(),
        "task_id": event.task_id,
        "attempt": event.attempt,
        "number": event.number,
        "type": event.type.value,
        "data": event.data,
    }


def compact(value: Any) -> str:
    """JSON without spaces. Raises ``ValueError`` for NaN and infinity."""
    return _ENCODER.encode(value)
