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
from contextlib import suppress
from typing import NoReturn

from opspawn_jupyter.kernels.forking import ending
from opspawn_jupyter.model import wire
from opspawn_jupyter.model.work import TASK_VARIABLE, Assignment
from opspawn_jupyter.runners import processes
from opspawn_jupyter.worker import rights
from opspawn_jupyter.worker.pool_step import Steps
from opspawn_jupyter.worker.speaker import Speaker
from opspawn_jupyter.worker.step_record import StepRecord

#: What threads that a step has left get to come to their end.
_LAST_SECONDS = 2.0


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
        self._steps = Steps(worker_id, self._speaker)
        self._lines = line.makefile("rb")
        self._end = _end_of(line)
        self._own_threads: frozenset[threading.Thread] = frozenset()

    def work(self) -> NoReturn:
        """Until the worker is gone, or has nothing more to do."""
        threading.Thread(target=self._watch, daemon=True).start()
        self._own_threads = frozenset(threading.enumerate())
        while self._is_alone():
            self._carry_out(self._next())
        self._retire()

    def _is_alone(self) -> bool:
        """Nothing of a step goes on that would speak in the next one's name."""
        has_alarm = any(signal.getitimer(signal.ITIMER_REAL))
        return threading.active_count() <= len(self._own_threads) and not has_alarm

    def _retire(self) -> NoReturn:
        """Leave the next steps to another process."""
        signal.setitimer(signal.ITIMER_REAL, 0)
        self._speaker.now()
        last = threading.Timer(_LAST_SECONDS, _leave)
        last.daemon = True
        last.start()
        with suppress(Exception):  # what is to be done then may be of a library
            ending.await_threads()
        _leave()

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
        self._steps.carry_out(assignment, self._begun)
        _clear_away(assignment.task_id)

    def _begun(self, record: StepRecord) -> None:
        """Only now see whether the worker is there: where it has died, a server will look for what
        was put down, and another worker is given what has not begun."""
        if self._end.poll(0):
            _end_session()
        record.take_output()


def _end_of(line: socket.socket) -> select.poll:
    """Tells when the worker has hung up, which it does at its death, too."""
    end = select.poll()
    end.register(line, 0)  # that is told unasked
    return end


def _leave() -> NoReturn:
    """All is told."""
    ending.flush()
    os._exit(0)


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
