"""What has left memory: finished tasks and records, looked up in the database one at a time."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from opspawn_jupyter.model.event import Event
from opspawn_jupyter.model.record import Record
from opspawn_jupyter.model.states import Subject
from opspawn_jupyter.model.task import Task
from opspawn_jupyter.pace import TooLong
from opspawn_jupyter.stores import rows
from opspawn_jupyter.stores.database import Database
from opspawn_jupyter.stores.known_keys import KnownKeys

#: Stands where a record has its subject.
_TASK = "task"


class Archive:
    """Remembers how far the ids in the file reach and which keys it has, which spares each new task
    and record a look into it: ids arrive in order, keys are new."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._newest_task: str = database.value("newest_finished_id") or ""
        self._newest_record: str = database.value("newest_record_id") or ""
        self._keys = KnownKeys(number for (number,) in database.rows("key_digests"))

    def grow(self, tasks: Iterable[Task], events: Iterable[Event]) -> None:
        """These tasks are in the file now, and what the events say of records."""
        for task in tasks:
            self._newest_task = max(self._newest_task, task.id)
            self._keys.add(_TASK, task.idempotency_key)
        for event in events:
            subject = event.type.subject
            if subject is not None:
                self._newest_record = max(self._newest_record, event.data["id"])
                self._keys.add(subject.value, event.data.get("key"))

    def may_hold_task(self, task_id: str) -> bool:
        """False where the file certainly has no such task."""
        return task_id <= self._newest_task

    def may_hold_record(self, record_id: str) -> bool:
        """Likewise, for a record."""
        return record_id <= self._newest_record

    def may_hold_key(self, subject: Subject, key: str) -> bool:
        """Likewise, for one with this key."""
        return self._keys.may_hold(subject.value, key)

    def task(self, task_id: str) -> Task | None:
        """A task that has ended."""
        if not self.may_hold_task(task_id):
            return None
        record = self._database.value("finished_task", id=task_id)
        return rows.task(record) if record else None

    def task_by_key(self, idempotency_key: str) -> Task | None:
        """Likewise, by the key that it was submitted with."""
        if not self._keys.may_hold(_TASK, idempotency_key):
            return None
        record = self._database.value("finished_task_by_key", key=idempotency_key)
        return rows.task(record) if record else None

    def record(self, subject: Subject, record_id: str) -> Record | None:
        """A record as it was written last."""
        if not self.may_hold_record(record_id):
            return None
        return self._record("record", subject=subject.value, id=record_id)

    def record_by_key(self, subject: Subject, key: str) -> Record | None:
        """Likewise, by its key, or one that it had before."""
        if not self.may_hold_key(subject, key):
            return None
        found = self._record("record_by_key", subject=subject.value, key=key)
        return found and self.record(subject, found.id)

    def _record(self, query: str, **parameters: Any) -> Record | None:
        found = self._database.rows(query, **parameters)
        return rows.record(found[0]) if found else None


class AtHand:
    """What the archive can tell without a look into the file: that something is not there. Where
    it would have to look, it raises ``TooLong``."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive

    def task(self, task_id: str) -> Task | None:
        """A task that has ended."""
        _require_absent(self._archive.may_hold_task(task_id))
        return None

    def record(self, _subject: Subject, record_id: str) -> Record | None:
        """A record as it was written last."""
        _require_absent(self._archive.may_hold_record(record_id))
        return None

    def record_by_key(self, subject: Subject, key: str) -> Record | None:
        """Likewise, by its key."""
        _require_absent(self._archive.may_hold_key(subject, key))
        return None


def _require_absent(may_be_there: bool) -> None:
    if may_be_there:
        raise TooLong
