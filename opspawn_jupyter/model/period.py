"""A period of the history, as it is exported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from opspawn_jupyter.model.event import Event

_ACTORS = ("submitted_by", "by", "signed_by", "answered_by", "asked_by", "edited_by", "created_by")
_REASONS = ("reason", "comment")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One event as people read it: who, when, what, why."""

    seq: int
    at: datetime
    what: str
    who: str
    why: str
    task_id: str


def entry(event: Event) -> Entry:
    """What the event says; empty where it does not say it."""
    said = [part for part in (event.data, event.data.get("content"), event.data.get("spec"))
            if isinstance(part, Mapping)]  # fmt: skip
    return Entry(
        seq=event.seq,
        at=event.at,
        what=event.type.value,
        who=_first(said, _ACTORS),
        why=_first(said, _REASONS),
        task_id=event.task_id,
    )


def _first(said: list[Mapping[str, Any]], names: tuple[str, ...]) -> str:
    found = (part[name] for name in names for part in said if isinstance(part.get(name), str))
    return next((one for one in found if one), "")
