"""What a process of the tier ``pool`` does for each step: carries it out and tells of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from opspawn_jupyter.kernels.forking import ending
from opspawn_jupyter.model import wire
from opspawn_jupyter.model.notebook import Tier
from opspawn_jupyter.model.run_directory import RunPaths
from opspawn_jupyter.model.states import EventType
from opspawn_jupyter.model.work import Assignment
from opspawn_jupyter.worker.step_record import StepRecord

#: What is told before the step goes on, with all that was kept until then.
_AT_ONCE = frozenset({EventType.STEP_LOG, EventType.STEP_PROGRESS})


class Says(Protocol):
    """Who passes on what is told: a ``Speaker``, where anybody hears it."""

    def soon(self, lines: bytes) -> None:
        """Say these within moments."""

    def now(self, lines: bytes = b"") -> None:
        """Say these, and all that is unsaid."""


class Steps:
    """Those that one process carries out, one after the other."""

    def __init__(self, worker_id: str, speaker: Says) -> None:
        self._worker_id = worker_id
        self._speaker = speaker
        #: Of the step that is at work.
        self._record: StepRecord | None = None
        self._pid = os.getpid()

    def carry_out(self, assignment: Assignment, begun: Callable[[StepRecord], None]) -> StepRecord:
        """What it has left. ``begun`` is called when it is put down that it has begun, before
        anybody is told."""
        # Not at the top: the worker imports this module too, and has no use for papermill.
        from opspawn_jupyter.runners import pool, problems

        run = RunPaths(assignment.run_directory)
        self._record = record = StepRecord(assignment, run)
        try:
            self._begin(assignment, record, begun)
            pool.perform(assignment, run, self._tell)
        except Exception as error:  # a fault of ours is the step's crash
            record.note(EventType.CRASHED, {"error": wire.encode(problems.unexpected(error))})
        self._record = None
        ending.flush()  # to its log, not to the next step's
        self._speaker.soon(record.tell())
        record.close()
        return record

    def _begin(
        self, assignment: Assignment, record: StepRecord, begun: Callable[[StepRecord], None]
    ) -> None:
        kernel = {"kernel": assignment.spec["kernel"], "pid": self._pid, "tier": Tier.POOL.value}
        record.note(EventType.STARTED, {"worker": self._worker_id, **kernel})
        record.journal()
        begun(record)
        self._speaker.soon(record.tell())

    def _tell(self, type: EventType, data: Mapping[str, Any]) -> None:
        assert self._record is not None  # noqa: S101  a step is at work
        self._record.note(type, data)
        if type in _AT_ONCE:
            self._speaker.now(self._record.tell())
