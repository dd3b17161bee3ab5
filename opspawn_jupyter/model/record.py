"""A record: the present state of a thing that is no task, such as a question or a schedule.

Each change of it is an event, whose data carries the whole record as it stands after it. A change
names the version that it leads to, so of two that were made at the same time the second is
refused, and whoever made it looks again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from opspawn_jupyter.errors import RecordChanged
from opspawn_jupyter.model import wire
from opspawn_jupyter.model.event import Draft, Event
from opspawn_jupyter.model.states import EventType, Subject


@dataclass(frozen=True, kw_only=True)
class Change:
    """The data of an event about a record."""

    #: Made by ``new_id``, like a task's.
    id: str
    #: That of the record after it, from 1. The store refuses it unless the record stands one below.
    version: int
    #: The thing as its own feature describes it, whole.
    content: Mapping[str, Any]
    #: Something may still become of it: the store keeps it at hand. A closed one lies in the
    #: history; a later version may open it again.
    is_open: bool = True
    #: No other record of the subject ever has the same, also where a later version has another.
    key: str | None = None


@dataclass(frozen=True, kw_only=True)
class Record(Change):
    """A thing as it stands after the event ``seq``."""

    subject: Subject
    #: The task that it concerns; empty for one that concerns none.
    task_id: str
    changed_at: datetime
    seq: int


@dataclass(frozen=True, kw_only=True)
class RecordQuery:
    """Which records to list, newest first."""

    subject: Subject
    is_open: bool | None = None
    task_id: str | None = None
    #: Only those whose id is lower: the last one of the page before.
    before: str | None = None
    #: Only those whose key begins so.
    key_prefix: str | None = None
    #: Only those whose key is not lower; they come in the order of their keys.
    key_from: str | None = None
    limit: int = 100


def draft(type: EventType, change: Change, task_id: str = "") -> Draft:
    """The event that a record is created or changed by."""
    return Draft(task_id=task_id, type=type, data=wire.encode(change))


def recorded(event: Event) -> Record:
    """The record after an event about one."""
    subject = event.type.subject
    if subject is None:
        message = f"{event.type.value} is about a task"
        raise ValueError(message)
    return Record(
        **vars(wire.decode(Change, event.data)),
        subject=subject,
        task_id=event.task_id,
        changed_at=event.at,
        seq=event.seq,
    )


def require_next(before: Record | None, after: Record) -> None:
    """Raises ``RecordChanged`` where the change was not made to the record as it stands."""
    version = before.version if before else 0
    if after.version != version + 1:
        raise RecordChanged(
            f"{after.subject.value} {after.id}",
            detail={"version": version, "expected": after.version - 1},
        )
