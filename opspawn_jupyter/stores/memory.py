"""The live truth: unfinished tasks, and what has not been written to the database yet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Protocol

from opspawn_jupyter.errors import KeyTaken
from opspawn_jupyter.model.advance import advance
from opspawn_jupyter.model.event import Draft, Event
from opspawn_jupyter.model.record import Record, recorded, require_next
from opspawn_jupyter.model.states import EventType, Subject
from opspawn_jupyter.model.task import Task
from opspawn_jupyter.stores import chain

_RecordId = tuple[Subject, str]
#: So many ended tasks are still at hand once the database has them: a worker names in its next
#: request what it has just ended, and a client asks how a task ended that it waited for.
_MOST_RECENT = 200


class Archive(Protocol):
    """What lies in the database only: finished tasks and closed records."""

    def task(self, task_id: str) -> Task | None:
        """A task that has ended."""

    def record(self, subject: Subject, record_id: str) -> Record | None:
        """A record as it was written last."""

    def record_by_key(self, subject: Subject, key: str) -> Record | None:
        """Likewise, by its key."""


@dataclass(frozen=True, kw_only=True)
class Held:
    """What memory held at one moment."""

    tasks: tuple[Task, ...]
    records: tuple[Record, ...]
    events: tuple[Event, ...]

    @property
    def finished(self) -> tuple[Task, ...]:
        """Tasks that have ended and are not in the database as they are."""
        return tuple(task for task in self.tasks if task.state.is_final)

    @property
    def rewritten(self) -> tuple[str, ...]:
        """Ids of tasks that the database may have as they were before."""
        return tuple(task.id for task in self.tasks if task.pruned_at is not None)


class Memory:
    """Tasks by id, and the events that the database lacks. Safe to use from several threads."""

    def __init__(self, seq: int, digest: str) -> None:
        self._lock = Lock()
        self._tasks: dict[str, Task] = {}
        #: Ended tasks as the database has them, the one that was forgotten last at the end.
        self._recent: dict[str, Task] = {}
        self._ids_by_key: dict[str, str] = {}
        self._records: dict[Subject, dict[str, Record]] = {subject: {} for subject in Subject}
        #: Ids by key.
        self._record_ids: dict[tuple[Subject, str], str] = {}
        self._events: list[Event] = []
        #: The end of the chain.
        self.seq = seq
        self.hash = digest

    def task(self, task_id: str) -> Task | None:
        """The task, if it is unfinished, not yet in the database or has ended just now."""
        return self._tasks.get(task_id) or self._recent.get(task_id)

    def task_by_key(self, idempotency_key: str) -> Task | None:
        """Likewise, by the key that it was submitted with."""
        with self._lock:
            return self._tasks.get(self._ids_by_key.get(idempotency_key, ""))

    def held(self) -> Held:
        """Everything, as it is at this moment."""
        with self._lock:
            return Held(
                tasks=tuple(self._tasks.values()),
                records=tuple(one for some in self._records.values() for one in some.values()),
                events=tuple(self._events),
            )

    def record(self, subject: Subject, record_id: str) -> Record | None:
        """The record, if it is open or not yet in the database."""
        return self._records[subject].get(record_id)

    def records(self, subject: Subject) -> tuple[Record, ...]:
        """All of a subject that are open or not yet in the database."""
        with self._lock:
            return tuple(self._records[subject].values())

    def record_by_key(self, subject: Subject, key: str) -> Record | None:
        """Likewise, by its key."""
        return self._records[subject].get(self._record_ids.get((subject, key), ""))

    @property
    def event_count(self) -> int:
        """How many events the database lacks."""
        return len(self._events)

    @property
    def floor(self) -> int:
        """Seq of the last event that only the database has."""
        with self._lock:
            return self._events[0].seq - 1 if self._events else self.seq

    def load(
        self,
        stored: Iterable[Event],
        records: Iterable[Record],
        fresh: Iterable[Event],
        archive: Archive,
    ) -> None:
        """Replay the events of unfinished tasks that the database has, take its open records, then
        replay all that it lacks."""
        for event in stored:
            if event.type.subject is None:
                self._replay(event, self._tasks.get(event.task_id))
        self._keep_records(records)
        for event in fresh:
            if event.type.subject is not None:
                self._keep_records([recorded(event)])
            else:
                task = self._tasks.get(event.task_id)
                if task is None and event.type is not EventType.SUBMITTED:
                    task = archive.task(event.task_id)
                self._replay(event, task)
            self._events.append(event)
            self.seq, self.hash = event.seq, event.hash

    def apply(self, stage: Stage) -> None:
        """Take in a stage that has become durable."""
        with self._lock:
            self._keep(stage.tasks.values())
            self._keep_records(stage.records.values())
            self._events.extend(stage.events)
            self.seq, self.hash = stage.seq, stage.hash

    def forget(self, applied: int) -> None:
        """Let go of what the database has: events up to ``applied``, and tasks they ended."""
        with self._lock:
            self._events = [event for event in self._events if event.seq > applied]
            for task in [*self._tasks.values()]:
                if task.state.is_final and task.seq <= applied:
                    self._recent[task.id] = task
                    del self._tasks[task.id]
                    self._ids_by_key.pop(task.idempotency_key or "", None)
            while len(self._recent) > _MOST_RECENT:
                del self._recent[next(iter(self._recent))]
            self._forget_records(applied)

    def _replay(self, event: Event, task: Task | None) -> None:
        self._keep([advance(task, event)])

    def _keep(self, tasks: Iterable[Task]) -> None:
        for task in tasks:
            self._tasks[task.id] = task
            self._recent.pop(task.id, None)
            if task.idempotency_key is not None:
                self._ids_by_key[task.idempotency_key] = task.id

    def _forget_records(self, applied: int) -> None:
        for records in self._records.values():
            for record in [*records.values()]:
                if not record.is_open and record.seq <= applied:
                    del records[record.id]
                    self._record_ids.pop((record.subject, record.key or ""), None)

    def _keep_records(self, records: Iterable[Record]) -> None:
        for record in records:
            self._records[record.subject][record.id] = record
            if record.key is not None:
                self._record_ids[record.subject, record.key] = record.id


class Stage:
    """What a batch would make of memory, which stays as it is until the batch is durable."""

    def __init__(self, memory: Memory, archive: Archive) -> None:
        self._memory = memory
        self._archive = archive
        self.seq = memory.seq
        self.hash = memory.hash
        self.tasks: dict[str, Task] = {}
        self.records: dict[_RecordId, Record] = {}
        self.events: list[Event] = []
        #: The events' JSON, for the journal.
        self.bodies: list[bytes] = []

    def add(self, drafts: Sequence[Draft]) -> tuple[Event, ...]:
        """The drafts as events, all of them, or an exception and the stage as it was.

        Raises ``IllegalTransition`` where a task's state forbids one, ``RecordChanged`` or
        ``KeyTaken`` where a record does.
        """
        tasks: dict[str, Task] = {}
        records: dict[_RecordId, Record] = {}
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
            self._take(events, bodies)
        return tuple(events)

    def _take(self, events: list[Event], bodies: list[bytes]) -> None:
        self.events += events
        self.bodies += bodies
        self.seq, self.hash = events[-1].seq, events[-1].hash

    def _task(self, task_id: str) -> Task | None:
        return self.tasks.get(task_id) or self._memory.task(task_id) or self._archive.task(task_id)

    def _check(self, record: Record, earlier: Mapping[_RecordId, Record]) -> None:
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
