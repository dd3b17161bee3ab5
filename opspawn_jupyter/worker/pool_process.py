"""A process of the tier ``pool``: from its first line to its last.

The worker sends assignments, one a line, ahead of time; the process begins each as soon as it can
take the right to it (``rights``). Back go events. What comes of a step is told together with the
start of the next: to wake the worker for each takes its processor from the step. The process ends
with the line, or when it is killed.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import socket
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn, Self

from opspawn_jupyter.files import write_all
from opspawn_jupyter.model import run_journal, wire
from opspawn_jupyter.model.clock import now
from opspawn_jupyter.model.notebook import Tier
from opspawn_jupyter.model.run_directory import RunDirectory
from opspawn_jupyter.model.states import EventType
from opspawn_jupyter.model.work import TASK_VARIABLE, Assignment, ReportedEvent
from opspawn_jupyter.runners import processes
from opspawn_jupyter.worker import rights

#: What a step has left behind is looked for in this often-read place before psutil is asked.
_CHILDREN = "/proc/thread-self/children"
#: What is told before the step goes on, with all that was kept until then.
_AT_ONCE = frozenset({EventType.STEP_LOG, EventType.STEP_PROGRESS})


def main(line: socket.socket, taking: socket.socket, worker_id: str) -> None:
    """Carry out what comes, one after the other."""
    os.setsid()
    processes.adopt_orphans()
    gc.freeze()
    _Process(line, taking, worker_id).work()


def sent(right: bytes, assignment: Assignment) -> bytes:
    """The assignment as a line."""
    return b"%s %s\n" % (right, json.dumps(wire.encode(assignment)).encode())


def heard(line: bytes) -> ReportedEvent:
    """The event that a line from the process is."""
    text = line.decode()
    event = wire.decode(ReportedEvent, json.loads(text))
    vars(event)["text"] = text
    return event


class _Journal:
    """The step's. A disk that is full, or a directory that was removed, keeps nobody uninformed."""

    def __init__(self, assignment: Assignment) -> None:
        self._attempt = assignment.attempt
        self._path = RunDirectory(Path(assignment.run_directory)).events
        self._descriptor: int | None = None

    def __enter__(self) -> Self:
        with suppress(OSError):
            self._descriptor = run_journal.open_journal(self._path)
        return self

    def __exit__(self, *_: object) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def write(self, events: Sequence[ReportedEvent]) -> None:
        """Put the events down."""
        if self._descriptor is not None and events:
            with suppress(OSError):
                write_all(self._descriptor, run_journal.lines(self._attempt, events))


class _Process:
    def __init__(self, line: socket.socket, taking: socket.socket, worker_id: str) -> None:
        self._line = line
        self._taking = taking
        self._worker_id = worker_id
        self._lines = line.makefile("rb")
        #: What was not told yet.
        self._told: list[bytes] = []
        #: What does not stand in the step's journal yet.
        self._unwritten: list[ReportedEvent] = []
        self._number = 0
        self._journal: _Journal | None = None
        self._end = _end_of(line)

    def work(self) -> NoReturn:
        """Until the worker is gone, or has nothing more to do."""
        threading.Thread(target=self._watch, daemon=True).start()
        while True:
            self._carry_out(self._next())

    def _watch(self) -> None:
        """In a thread, so that the end of the worker is noticed while a step runs."""
        _end_of(self._line).poll()
        _end_session()

    def _next(self) -> Assignment:
        right = rights.take_some(self._taking, 1)
        if not right:
            self._send()
            right = rights.take(self._taking)
        return wire.decode(Assignment, json.loads(self._text(right)))

    def _text(self, right: bytes) -> bytes:
        """What the right is to; the rights to those before it were taken back."""
        for line in self._lines:
            number, _, text = line.partition(b" ")
            if number == right:
                return text
        return _end_session()

    def _carry_out(self, assignment: Assignment) -> None:
        # Not at the top: the worker imports this module too, and has no use for papermill.
        from opspawn_jupyter.runners import pool, problems

        self._number = 0
        with _Journal(assignment) as journal:
            self._journal = journal
            try:
                self._begin(assignment)
                pool.perform(assignment, self._tell)
            except Exception as error:  # a fault of ours is the step's crash
                self._tell(EventType.CRASHED, {"error": wire.encode(problems.unexpected(error))})
            self._write()
        _clear_away(assignment.task_id)

    def _begin(self, assignment: Assignment) -> None:
        """Put down that it has begun, and only then see whether the worker is there: where it has
        died, a server will look for that, and another worker is given what has not begun."""
        kernel = {"kernel": assignment.spec["kernel"], "pid": os.getpid(), "tier": Tier.POOL.value}
        self._note(EventType.STARTED, {"worker": self._worker_id, **kernel})
        self._write()
        if self._end.poll(0):
            _end_session()
        _write_to(RunDirectory(Path(assignment.run_directory)).log)
        self._send()

    def _tell(self, type: EventType, data: Mapping[str, Any]) -> None:
        self._note(type, data)
        if type in _AT_ONCE:
            self._send()

    def _note(self, type: EventType, data: Mapping[str, Any]) -> None:
        """Have it written down, and then told, with what comes next."""
        self._number += type.is_durable
        number = self._number if type.is_durable else 0
        event = ReportedEvent(type=type, at=now(), data=data, number=number)
        self._told.append(b"%s\n" % event.text.encode())
        if type.is_durable:
            self._unwritten.append(event)

    def _write(self) -> None:
        if self._journal is not None:
            self._journal.write(self._unwritten)
        self._unwritten.clear()

    def _send(self) -> None:
        self._write()
        if self._told:
            with suppress(OSError):  # then this process is about to end
                self._line.sendall(b"".join(self._told))
            self._told.clear()


def _end_of(line: socket.socket) -> select.poll:
    """Tells when the worker has hung up, which it does at its death, too."""
    end = select.poll()
    end.register(line, 0)  # that is told unasked
    return end


def _end_session() -> NoReturn:
    """Nobody would hear."""
    for child in processes.descendants(os.getpid()):
        processes.kill_session(child.pid)
    os.killpg(os.getpgrp(), signal.SIGKILL)
    sys.exit(1)


def _write_to(log: Path) -> None:
    """What is written past Python goes to the step's log."""
    target = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for descriptor in (1, 2):
        os.dup2(target, descriptor)
    os.close(target)


def _clear_away(task_id: str) -> None:
    """End what the step has started and not ended."""
    with suppress(OSError):
        if not _has_children():
            return
    for child in processes.descendants(os.getpid()):
        processes.kill_session(child.pid)
    processes.kill(processes.marked(TASK_VARIABLE, task_id))


def _has_children() -> bool:
    descriptor = os.open(_CHILDREN, os.O_RDONLY)
    try:
        return bool(os.read(descriptor, 1))
    finally:
        os.close(descriptor)
