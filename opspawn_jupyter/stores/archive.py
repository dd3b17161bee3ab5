"""What has left memory: finished tasks and records, looked up in the database one at a time."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from opspawn_jupyter.model.event import Event
from opspawn_jupyter.model.record import Record
from opspawn_jupyter.model.states import Subject
from opspawn_jupyter.model.task import Task
from opspawn_jupyter.stores import rows
from opspawn_jupyter.stores.database import Database
from opspawn_jupyter.stores.known_keys import KnownKeys


class Archive:
    """Remembers how far the ids in the file reach and which keys it has, which spares each new task
    and record a look into it: ids arrive in order, keys are new."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._newest_task: str = database.value("newest_finished_id") or ""
        self._newest_record: str = database.value("newest_record_id") or ""
        self._keys = KnownKeys(number for (number,) in database.rows("key_digests"))

    def grow(self, tasks: Iterable[str], events: Iterable[Event]) -> None:
        """Tasks of these ids are in the file now, and what the events say of records."""
        self._newest_task = max([self._newest_task, *tasks])
        for event in events:
            subject = event.type.subject
            if subject is not None:
                self._newest_record = max(self._newest_record, event.data["id"])
                self._keys.add(subject.value, event.data.get("key"))

    def task(self, task_id: str) -> Task | None:
        """A task that has ended."""
        if task_id > self._newest_task:
            return None
        record = self._database.value("finished_task", id=task_id)
        return rows.task(record) if record else None

    def record(self, subject: Subject, record_id: str) -> Record | None:
        """A record as it was written last."""
        if record_id > self._newest_record:
            return None
        return self._record("record", subject=subject.value, id=record_id)

    def record_by_key(self, subject: Subject, key: str) -> Record | None:
        """Likewise, by its key, or one that it had before."""
        if not self._keys.may_hold(subject.value, key):
            return None
        found = self._record("record_by_key", subject=subject.value, key=key)
        return found and self.record(subject, found.id)

    def _record(self, query: str, **parameters: Any) -> Record | None:
        found = self._database.rows(query, **parameters)
        return rows.record(found[0]) if found else None
