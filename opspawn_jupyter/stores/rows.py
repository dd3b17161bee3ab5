"""Events and finished tasks as rows of the database, and back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from opspawn_jupyter.model import wire
from opspawn_jupyter.model.event import Event
from opspawn_jupyter.model.event_hash import written_data
from opspawn_jupyter.model.json_text import quoted
from opspawn_jupyter.model.record import Record
from opspawn_jupyter.model.states import EventType, Subject
from opspawn_jupyter.model.task import Task
from opspawn_jupyter.stores.chain import compact


def event_row(event: Event) -> tuple[Any, ...]:
    """A row of ``events``."""
    return (
        event.seq,
        timestamp(event.at),
        event.task_id,
        event.attempt,
        event.number,
        event.type.value,
        written_data(event),
        event.hash,
    )


def event(row: Sequence[Any]) -> Event:
    """The event of a row of ``events``."""
    seq, happened_at, task_id, attempt, number, type, data, digest = row
    return Event(
        seq=seq,
        at=happened_at.replace(tzinfo=UTC),
        task_id=task_id,
        attempt=attempt,
        number=number,
        type=EventType(type),
        data=json.loads(data),
        hash=digest,
    )


def task_row(task: Task) -> tuple[Any, ...]:
    """A row of ``finished_tasks``."""
    # Each is made once for all columns that have it.
    texts = {name: _text(value) for name, value in vars(task).items()}
    members = [f'"{name}":{text}' for name, text in texts.items()]
    return _row(task, texts, record=f"{{{','.join(members)}}}")


def held_row(task: Task) -> tuple[Any, ...]:
    """A row of the same shape for users' queries, which do not see the record."""
    texts = {name: _text(getattr(task, name)) for name in ("labels", "spec", "outputs", "cells")}
    return _row(task, texts, record="null")


def _text(value: Any) -> str:
    """As JSON, which a dictionary is already. Most of what a task holds is nothing, or a word."""
    if value is None:
        return "null"
    if type(value) is str:
        return quoted(value)
    if type(value) is datetime:
        return f'"{value.isoformat()}"'
    return compact(value if type(value) is dict else wire.encode(value))


def _row(task: Task, texts: Mapping[str, str], *, record: str) -> tuple[Any, ...]:
    return (
        task.id,
        task.kind,
        task.name,
        task.state.value,
        timestamp(task.created_at),
        timestamp(task.started_at),
        timestamp(task.finished_at),
        task.duration_seconds,
        task.attempt,
        task.submitted_by,
        task.idempotency_key,
        task.run_directory,
        texts["labels"],
        texts["spec"],
        texts["outputs"],
        task.error.name if task.error else None,
        task.error.message if task.error else None,
        texts["cells"],
        task.seq,
        record,
        timestamp(task.pruned_at),
        task.policy.max_retries,
        task.retry_of,
        task.parent_id,
        task.step,
        task.reused_from,
        task.tier,
    )


def task(record: str) -> Task:
    """The task of the column ``record``."""
    return wire.decode(Task, json.loads(record))


def record_row(record: Record) -> tuple[Any, ...]:
    """A row of ``records``."""
    return (
        record.subject.value,
        record.id,
        record.version,
        record.is_open,
        record.key,
        record.task_id,
        timestamp(record.changed_at),
        record.seq,
        compact(record.content),
    )


def record(row: Sequence[Any]) -> Record:
    """The record of a row of ``records``."""
    subject, record_id, version, is_open, key, task_id, changed_at, seq, content = row
    return Record(
        subject=Subject(subject),
        id=record_id,
        version=version,
        is_open=is_open,
        key=key,
        task_id=task_id,
        changed_at=changed_at.replace(tzinfo=UTC),
        seq=seq,
        content=json.loads(content),
    )


def timestamp(moment: datetime | None) -> datetime | None:
    """As DuckDB's TIMESTAMP: in UTC, without saying so."""
    if moment is None:
        return None
    in_utc = moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    return in_utc.replace(tzinfo=None)
