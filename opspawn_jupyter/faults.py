"""Places where a test can break the system. In production ``reach`` does nothing at all.

``OPSPAWN_FAULTS`` names what is to happen where: ``point=action`` pairs, separated by commas. An
action is ``kill`` (this process is gone at once, as by kill -9), ``full`` (the disk is full:
``OSError``) or ``wait`` (one second passes, in which others go on); ``kill@3`` is for the third
time that a process comes by. ``OPSPAWN_FAULTS_DIRECTORY`` is an existing directory, in which a file
is made for each fault that happened; where one is, it does not happen again, in whichever process.
"""

from __future__ import annotations

import errno
import os
import signal
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

#: Each point by name, and what has been done when a process comes there.
POINTS: Mapping[str, str] = {
    "server.before_submit": "files are pinned; nothing is stored",
    "server.after_submit": "the submission is stored; nobody has been told",
    "server.before_assign": "a task was taken from the queue; the worker has not been told",
    "server.before_report": "a worker's report has come; nothing of it is stored",
    "server.after_report": "a worker's report is stored; the worker does not know that",
    "store.before_sync": "events are written to the journal and may not be on the disk",
    "store.before_flush": "events lie in the journal and not in the database",
    "store.after_flush": "events lie in the database; the journal has not been pruned",
    "worker.before_start": "the worker has a task; nothing is written down, nothing runs",
    "worker.after_start": "the runner process runs",
    "worker.before_journal": "something happened; it is not in the run directory's journal",
    "worker.after_journal": "it is in the journal; the report is not under way",
    "worker.before_delivered": "the server has a report; the worker has not noted that",
    "runner.before_kernel": "the notebook is prepared; nothing is saved; a kernel may come",
    "runner.after_kernel": "the kernel runs; nobody has been told",
    "runner.between_cells": "a cell has ended; the next has not begun",
    "runner.before_save": "the executed notebook is about to be replaced",
    "runner.before_outcome": "all is saved and has run; the outcome has not been told",
    "agent.before_unit": "an agent has a reply or a result; it is not on the tape",
    "agent.after_unit": "it is on the tape; the run has not gone on",
    "runner.after_outcome": "the outcome was told; the process has not ended",
}


@dataclass(frozen=True)
class _Fault:
    action: str
    #: Which coming-by it is for.
    turn: int

    @classmethod
    def parse(cls, text: str) -> _Fault:
        action, _, turn = text.partition("@")
        return cls(action, int(turn or 1))

    def happen(self, point: str) -> None:
        if self.action == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif self.action == "full":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), point)
        else:
            time.sleep(1.0)


@dataclass
class _Plan:
    faults: Mapping[str, _Fault]
    directory: Path
    passed: Counter[str] = field(default_factory=Counter)

    def reach(self, point: str) -> None:
        fault = self.faults.get(point)
        if fault is None:
            return
        self.passed[point] += 1
        if self.passed[point] >= fault.turn and self._is_first(point):
            fault.happen(point)

    def _is_first(self, point: str) -> bool:
        try:
            (self.directory / point).touch(exist_ok=False)
        except FileExistsError:
            return False
        return True


def _plan(text: str, directory: str) -> _Plan:
    pairs = dict(pair.split("=") for pair in text.split(","))
    unknown = pairs.keys() - POINTS.keys()
    if unknown:
        raise ValueError(f"OPSPAWN_FAULTS names no point: {sorted(unknown)}")
    faults = {point: _Fault.parse(action) for point, action in pairs.items()}
    return _Plan(faults, Path(directory))


def _pass(point: str) -> None:
    """Nothing is planned."""


#: Called with its name wherever a point is reached.
reach = _pass
if "OPSPAWN_FAULTS" in os.environ:
    reach = _plan(os.environ["OPSPAWN_FAULTS"], os.environ["OPSPAWN_FAULTS_DIRECTORY"]).reach
