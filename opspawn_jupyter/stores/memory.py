"""The live truth: unfinished tasks, and what has not been written to the database yet."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from threading import Lock
from typing import Protocol

from opspawn_jupyter.model.advance import advance
from opspawn_jupyter.model.event import Event
from opspawn_jupyter.model.record import Record, recorded
from opspawn_jupyter.model.states import EventType, Subject
from opspawn_jupyter.model.task import Task

RecordId = tuple[Subject, str]
#: So many ended tasks are still at hand once the database has them: a worker names in its next
#: request what it has just ended, and a client asks how a task ended that it waited for. Of a
#: workflow's steps some hundred end before all who follow them have looked.
_MOST_RECENT = 1_000


class Archive(Protocol):
    """What lies in the database only: finished tasks and closed records."""

    def task(self, task_id: str) -> Task | None:
        """A task that has ended."""

    def record(self, subject: Subject, record_id: str) -> Record | None:
        """A record as it was written last."""

    def record_by_key(self, subject: Subject, key: str) -> Record | None:
        """Likewise, by its key."""


class Staged(Protocol):
    """What has been decided and is not in memory yet: see ``Stage``."""

    tasks: dict[str, Task]
    records: dict[RecordId, Record]
    events: list[Event]
    seq: int
    hash: str


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

    def apply(self, stage: Staged) -> None:
        """Take it in: it has become durable."""
        with self._lock:
            self._keep(stage.tasks.values())
            if stage.records:
                self._keep_records(stage.records.values())
            self._events += stage.events
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
