"""What has happened on one attempt: checked, numbered, written down, and handed on."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from pathlib import Path

from opspawn_jupyter import faults, timeline
from opspawn_jupyter.errors import IllegalTransition
from opspawn_jupyter.model.advance import advance
from opspawn_jupyter.model.clock import now
from opspawn_jupyter.model.event import Draft
from opspawn_jupyter.model.notebook import is_pooled
from opspawn_jupyter.model.run_directory import RunDirectory
from opspawn_jupyter.model.states import EventType, State
from opspawn_jupyter.model.task import Task
from opspawn_jupyter.model.work import Assignment, ReportedEvent
from opspawn_jupyter.worker.outbox import Outbox
from opspawn_jupyter.worker.record import Entry, Record

_log = logging.getLogger(__name__)


class History:
    """Keeps the task as its events make it, by the same function as the server."""

    def __init__(self, assignment: Assignment, outbox: Outbox) -> None:
        self.task = _queued(assignment)
        self._attempt = assignment.attempt
        self._outbox = outbox
        self._number = 0
        self._record = _record(assignment)

    def begin(self, event: ReportedEvent) -> None:
        """Take the first event, while a runner waits to be told what it is to do: people are told
        a moment later."""
        taken = self._take(event)
        if taken is not None:
            self._write([taken], is_journalled=False)
            self._outbox.add(self.task.id, self._attempt, taken.event)
            asyncio.get_running_loop().call_soon(self._tell_people, [taken])

    def add(self, *events: ReportedEvent) -> None:
        """Take events that came together."""
        self._add(events, is_journalled=False)

    def recover(self, events: Iterable[ReportedEvent], last_told: int) -> None:
        """Take what stands in the journal, of which the events up to this number were reported
        before. It may lack them: code of a task can write the file."""
        untold = []
        for event in events:
            if event.number > last_told:
                untold.append(event)
            elif self._take(event) is None:
                break
        if last_told and self.task.state is State.QUEUED:
            self._take(ReportedEvent(type=EventType.STARTED, at=now()))
        self._number = max(self._number, last_told)
        self._add(untold, is_journalled=True)

    def _add(self, events: Sequence[ReportedEvent], *, is_journalled: bool) -> None:
        taken = [one for event in events if (one := self._take(event)) is not None]
        if not taken:
            return
        self._write(taken, is_journalled=is_journalled)
        self._tell_people(taken)
        if self.task.state.ends_attempt:
            timeline.reach("worker.heard")
        self._outbox.add(self.task.id, self._attempt, *(one.event for one in taken))

    def close(self) -> None:
        """Close the files."""
        if self._record is not None:
            self._record.close()
            self._record = None

    def _take(self, event: ReportedEvent) -> Entry | None:
        """The event with its number. One that the task's state forbids is dropped here: the
        server would refuse it, with all that was sent along."""
        if event.type.is_durable:
            event = _numbered(event, self._number)
            try:
                self.task = advance(self.task, self._draft(event))
            except IllegalTransition as refusal:
                _log.warning("event dropped task_id=%s reason=%s", self.task.id, refusal)
                return None
            self._number = event.number
        elif self.task.state is not State.RUNNING:
            return None
        return Entry(event, self.task)

    def _write(self, entries: Sequence[Entry], *, is_journalled: bool) -> None:
        """Before they are reported; but a full disk does not keep the server uninformed."""
        if self._record is None or not any(one.event.type.is_durable for one in entries):
            return
        try:
            if not is_journalled:
                faults.reach("worker.before_journal")
                self._record.journal(entries)
                faults.reach("worker.after_journal")
            self._record.summarise(self.task)
        except OSError:
            _complain(self.task)

    def _tell_people(self, entries: Sequence[Entry]) -> None:
        if self._record is None:
            return
        try:
            self._record.log(entries)
        except OSError:
            _complain(self.task)

    def _draft(self, event: ReportedEvent) -> Draft:
        return Draft(
            task_id=self.task.id,
            type=event.type,
            data=event.data,
            at=event.at,
            attempt=self._attempt,
            number=event.number,
        )


def _complain(task: Task) -> None:
    _log.exception("run directory cannot be written task_id=%s", task.id)


def _numbered(event: ReportedEvent, last: int) -> ReportedEvent:
    """With a number after the last; its own where it has one, by which it is journalled."""
    if event.number > last:
        return event
    return ReportedEvent(type=event.type, at=event.at, data=event.data, number=last + 1)


def _queued(assignment: Assignment) -> Task:
    return Task(
        id=assignment.task_id,
        kind=assignment.kind,
        name=assignment.name,
        state=State.QUEUED,
        spec=assignment.spec,
        policy=assignment.policy,
        run_directory=assignment.run_directory,
        created_at=now(),
        attempt=assignment.attempt - 1,
    )


def _record(assignment: Assignment) -> Record | None:
    directory = RunDirectory(Path(assignment.run_directory))
    try:
        if not is_pooled(assignment.spec):
            directory.artifacts.mkdir(parents=True, exist_ok=True)
        return Record(directory, assignment.attempt)
    except OSError:
        _log.exception("run directory cannot be written task_id=%s", assignment.task_id)
        return None
