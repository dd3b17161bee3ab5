"""A process of the tier ``pool``: from its first line to its last.

The worker sends assignments, one a line, ahead of time; the process begins each as soon as it can
take the right to it (``rights``). Back go words (``word``), those of some steps together. The
process ends with the line, or when it is killed.
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
from collections.abc import Mapping
from typing import Any, NoReturn

from opspawn_jupyter.model import wire
from opspawn_jupyter.model.notebook import Tier
from opspawn_jupyter.model.run_directory import RunPaths
from opspawn_jupyter.model.states import EventType
from opspawn_jupyter.model.work import TASK_VARIABLE, Assignment
from opspawn_jupyter.runners import processes
from opspawn_jupyter.worker import rights
from opspawn_jupyter.worker.speaker import Speaker
from opspawn_jupyter.worker.step_record import StepRecord

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


class _Process:
    def __init__(self, line: socket.socket, taking: socket.socket, worker_id: str) -> None:
        self._line = line
        self._speaker = Speaker(line)
        self._taking = taking
        self._worker_id = worker_id
        self._lines = line.makefile("rb")
        #: Of the step that is at work.
        self._record: StepRecord | None = None
        self._pid = os.getpid()
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
            self._speaker.now()
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

        run = RunPaths(assignment.run_directory)
        self._record = record = StepRecord(assignment, run)
        try:
            self._begin(assignment, record)
            pool.perform(assignment, run, self._tell)
        except Exception as error:  # a fault of ours is the step's crash
            record.note(EventType.CRASHED, {"error": wire.encode(problems.unexpected(error))})
        self._record = None
        self._speaker.soon(record.tell())
        record.close()
        _clear_away(assignment.task_id)

    def _begin(self, assignment: Assignment, record: StepRecord) -> None:
        """Put down that it has begun, and only then see whether the worker is there: where it has
        died, a server will look for that, and another worker is given what has not begun."""
        kernel = {"kernel": assignment.spec["kernel"], "pid": self._pid, "tier": Tier.POOL.value}
        record.note(EventType.STARTED, {"worker": self._worker_id, **kernel})
        record.journal()
        if self._end.poll(0):
            _end_session()
        record.take_output()
        self._speaker.soon(record.tell())

    def _tell(self, type: EventType, data: Mapping[str, Any]) -> None:
        assert self._record is not None  # noqa: S101  a step is at work
        self._record.note(type, data)
        if type in _AT_ONCE:
            self._speaker.now(self._record.tell())


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


def _clear_away(task_id: str) -> None:
    """End what the step has started and not ended."""
    if not _has_children():
        return
    for child in processes.descendants(os.getpid()):
        processes.kill_session(child.pid)
    processes.kill(processes.marked(TASK_VARIABLE, task_id))


def _has_children() -> bool:
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True
