"""What a batch of events would make of memory, which stays as it is until they are durable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from opspawn_jupyter.errors import KeyTaken
from opspawn_jupyter.model.advance import advance
from opspawn_jupyter.model.event import Draft, Event
from opspawn_jupyter.model.record import Record, recorded, require_next
from opspawn_jupyter.model.task import Task
from opspawn_jupyter.stores import chain
from opspawn_jupyter.stores.memory import Archive, Memory, RecordId


class Stage:
    """Drafts that were taken, in order, on top of memory."""

    def __init__(self, memory: Memory, archive: Archive) -> None:
        self._memory = memory
        self._archive = archive
        self.seq = memory.seq
        self.hash = memory.hash
        self.tasks: dict[str, Task] = {}
        self.records: dict[RecordId, Record] = {}
        self.events: list[Event] = []
        #: The events' JSON, for the journal.
        self.bodies: list[bytes] = []

    def add(self, drafts: Sequence[Draft]) -> tuple[Event, ...]:
        """The drafts as events, all of them, or an exception and the stage as it was.

        Raises ``IllegalTransition`` where a task's state forbids one, ``RecordChanged`` or
        ``KeyTaken`` where a record does.
        """
        tasks: dict[str, Task] = {}
        records: dict[RecordId, Record] = {}
        events: list[Event] = []
        bodies: list[bytes] = []
        seq, digest = self.seq, self.hash
        for draft in drafts:
            seq += 1
            event, body = chain.link(draft, seq, digest)
            if event.type.subject is not None:
                record = recorded(event)
                self._check(record, records)
                records[record.subject, record.id] = record
            else:
                task = tasks.get(event.task_id) or self._task(event.task_id)
                tasks[event.task_id] = advance(task, event)
            events.append(event)
            bodies.append(body)
            digest = event.hash
        if events:
            self.tasks.update(tasks)
            self.records.update(records)
            self.events += events
            self.bodies += bodies
            self.seq, self.hash = seq, digest
        return tuple(events)

    def _task(self, task_id: str) -> Task | None:
        return self.tasks.get(task_id) or self._memory.task(task_id) or self._archive.task(task_id)

    def _check(self, record: Record, earlier: Mapping[RecordId, Record]) -> None:
        """Raises ``RecordChanged`` or ``KeyTaken``."""
        staged = {**self.records, **earlier} if earlier else self.records
        name = (record.subject, record.id)
        before = staged.get(name) or self._memory.record(*name) or self._archive.record(*name)
        require_next(before, record)
        if record.key is None or (before is not None and before.key == record.key):
            return
        others = (one for one in staged.values() if one.subject is record.subject)
        if any(one.key == record.key for one in others) or self._is_taken(record):
            raise KeyTaken(record.key)

    def _is_taken(self, record: Record) -> bool:
        """By another record. A key that a record had before stays its own."""
        name = (record.subject, record.key or "")
        found = self._memory.record_by_key(*name) or self._archive.record_by_key(*name)
        return found is not None and found.id != record.id
