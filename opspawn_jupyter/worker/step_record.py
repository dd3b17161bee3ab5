"""What a step of the tier ``pool`` leaves beside its notebook, and what is told of it.

Its own process writes journal, log and summary, in this order, before it tells the worker: to make
the step's task anew of its events took the worker longer than all that it had to do for the step
besides. Whoever dies in between: what the journal has is what has happened, and the worker, or a
server that finds it dead, makes up for the rest.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

from opspawn_jupyter.files import write_all
from opspawn_jupyter.model import run_journal, summary, wire
from opspawn_jupyter.model.clock import now
from opspawn_jupyter.model.run_directory import RunPaths
from opspawn_jupyter.model.states import OUTCOME_EVENTS, EventType, State
from opspawn_jupyter.model.task import Problem
from opspawn_jupyter.model.work import Assignment, ReportedEvent
from opspawn_jupyter.worker.log_text import LogText
from opspawn_jupyter.worker.record import SUMMARY_SECONDS
from opspawn_jupyter.worker.word import words

_STATES: Mapping[EventType, State] = {event: state for state, event in OUTCOME_EVENTS.items()}


class StepRecord:
    """Of one attempt. A disk that is full, or a directory that was removed, keeps nobody
    uninformed."""

    #: For the log, which tells of each of them elsewhere.
    cells = ()

    def __init__(self, assignment: Assignment, paths: RunPaths) -> None:
        self.attempt = assignment.attempt
        self.state = State.RUNNING
        self.error: Problem | None = None
        self._assignment = assignment
        self._paths = paths
        self._journal: int | None = None
        self._log: int | None = None
        self._log_text = LogText()
        self._summary_due = time.monotonic() + SUMMARY_SECONDS if self.attempt == 1 else 0.0
        self._number = 0
        #: Those that were not written down yet, or not told.
        self._unwritten: list[ReportedEvent] = []
        self._untold: list[ReportedEvent] = []
        self._started_at: datetime | None = None
        self._finished_at: datetime | None = None
        self._error: Mapping[str, Any] | None = None
        self._cells: list[Mapping[str, Any]] = []
        self._outputs: dict[str, Any] = {}

    @property
    def duration_seconds(self) -> float | None:
        """From its start to its end, where it has one."""
        if self._started_at is None or self._finished_at is None:
            return None
        return (self._finished_at - self._started_at).total_seconds()

    def note(self, type: EventType, data: Mapping[str, Any]) -> None:
        """Have it written down, and then told, with what comes next."""
        self._number += type.is_durable
        number = self._number if type.is_durable else 0
        event = ReportedEvent(type=type, at=now(), data=data, number=number)
        self._untold.append(event)
        if type.is_durable:
            self._unwritten.append(event)

    def journal(self) -> None:
        """Put down what was noted, for whoever is not told."""
        unwritten, self._unwritten = self._unwritten, []
        with suppress(OSError):
            if self._journal is None:
                self._journal = run_journal.open_journal(self._paths.events)
            run_journal.append(self._journal, self.attempt, unwritten)

    def take_output(self) -> None:
        """What the process writes past Python goes to the step's log."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        self._log = os.open(self._paths.log, flags, 0o644)
        for descriptor in (1, 2):
            os.dup2(self._log, descriptor)

    def tell(self) -> bytes:
        """Lines that tell the worker what was noted; all of it is written down then."""
        if self._unwritten:
            self.journal()
        untold, self._untold = self._untold, []
        text = "".join([self._log_text.of(self._taken(event), self) for event in untold])
        with suppress(OSError):
            if self._log is not None:
                write_all(self._log, text.encode("utf-8", "backslashreplace"))
            if untold:
                self._summarise()
        return b"".join([word.line for word in words(untold)])

    def close(self) -> None:
        """Close the files."""
        for descriptor in (self._journal, self._log):
            if descriptor is not None:
                os.close(descriptor)

    def _taken(self, event: ReportedEvent) -> ReportedEvent:
        """The event, once it counts for what log and summary say."""
        if event.type is EventType.STARTED:
            self._started_at = event.at
        elif event.type is EventType.STEP_OUTPUT:
            self._outputs[event.data["name"]] = event.data["value"]
        elif event.type in _STATES:
            self._end(event, event.data)
        return event

    def _end(self, event: ReportedEvent, data: Mapping[str, Any]) -> None:
        self.state, self._finished_at = _STATES[event.type], event.at
        self._error = data.get("error")
        self.error = wire.decode(Problem, self._error) if self._error else None
        self._cells = data.get("cells", [])
        self._outputs |= data.get("outputs", {})

    def _summarise(self) -> None:
        """Rewrite the summary, at most once a second until the end."""
        moment = time.monotonic()
        if self.state is State.RUNNING and moment < self._summary_due:
            return
        self._summary_due = moment + SUMMARY_SECONDS
        facts = {
            "id": self._assignment.task_id,
            "name": self._assignment.name,
            "kind": self._assignment.kind,
            "state": self.state.value,
            "attempt": self.attempt,
            "started_at": self._started_at and self._started_at.isoformat(),
            "finished_at": self._finished_at and self._finished_at.isoformat(),
            "cells": self._cells,
            "outputs": self._outputs,
            "error": self._error,
            "duration_seconds": self.duration_seconds,
        }
        summary.put(self._paths.summary, facts)
