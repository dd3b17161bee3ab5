"""A process of the tier ``pool``: from its first line to its last.

The worker sends assignments, one a line, each when the last one's outcome was told; back go events.
The process ends with the line, or when it is killed.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import socket
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from opspawn_jupyter.model import wire
from opspawn_jupyter.model.clock import now
from opspawn_jupyter.model.run_directory import RunDirectory
from opspawn_jupyter.model.states import EventType
from opspawn_jupyter.model.work import TASK_VARIABLE, Assignment, ReportedEvent
from opspawn_jupyter.runners import processes

#: What a step has left behind is looked for in this often-read place before psutil is asked.
_CHILDREN = Path("/proc/thread-self/children")


def main(line: socket.socket) -> None:
    """Carry out what comes, one after the other."""
    os.setsid()
    processes.adopt_orphans()
    gc.freeze()
    inbox = _Inbox(line)
    while True:
        _carry_out(inbox.next(), line)


def sent(assignment: Assignment) -> bytes:
    """The assignment as a line."""
    return json.dumps(wire.encode(assignment)).encode() + b"\n"


def heard(line: bytes) -> ReportedEvent:
    """The event that a line from the process is."""
    return wire.decode(ReportedEvent, json.loads(line))


class _Inbox:
    """What the worker has sent. A thread reads it, so that the end of the worker is noticed while
    a step runs."""

    def __init__(self, line: socket.socket) -> None:
        self._waiting: SimpleQueue[Assignment] = SimpleQueue()
        self._line = line
        threading.Thread(target=self._read, daemon=True).start()

    def next(self) -> Assignment:
        """The next."""
        return self._waiting.get()

    def _read(self) -> None:
        with suppress(OSError), self._line.makefile("rb") as lines:
            for line in lines:
                self._waiting.put(wire.decode(Assignment, json.loads(line)))
        # The worker is gone, or has no more to do and nothing is under way: nobody would hear.
        _end_session()


def _end_session() -> None:
    for child in processes.descendants(os.getpid()):
        processes.kill_session(child.pid)
    os.killpg(os.getpgrp(), signal.SIGKILL)


def _carry_out(assignment: Assignment, line: socket.socket) -> None:
    # Not at the top: the worker imports this module too, and has no use for papermill.
    from opspawn_jupyter.runners import pool, problems

    def tell(type: EventType, data: Mapping[str, Any]) -> None:
        event = ReportedEvent(type=type, at=now(), data=data)
        told.append(b"%s\n" % event.text.encode())
        if type not in _TOGETHER:
            line.sendall(b"".join(told))
            told.clear()

    told: list[bytes] = []
    _write_to(RunDirectory(Path(assignment.run_directory)).log)
    try:
        pool.perform(assignment, tell)
    except Exception as error:  # a fault of ours is the step's crash
        tell(EventType.CRASHED, {"error": wire.encode(problems.unexpected(error))})
    _clear_away(assignment.task_id)


#: Told with what follows them, which is not long in coming.
_TOGETHER = frozenset({EventType.KERNEL_STARTED, EventType.STEP_OUTPUT})


def _write_to(log: Path) -> None:
    """What is written past Python goes to the step's log."""
    target = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for descriptor in (1, 2):
        os.dup2(target, descriptor)
    os.close(target)


def _clear_away(task_id: str) -> None:
    """End what the step has started and not ended."""
    with suppress(OSError):
        if not _CHILDREN.read_bytes():
            return
    for child in processes.descendants(os.getpid()):
        processes.kill_session(child.pid)
    processes.kill(processes.marked(TASK_VARIABLE, task_id))
