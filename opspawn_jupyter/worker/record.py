"""What one attempt leaves in its run directory: journal, log and summary."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from typing import NamedTuple

from opspawn_jupyter.files import write_all
from opspawn_jupyter.model import run_journal, summary
from opspawn_jupyter.model.run_directory import RunDirectory
from opspawn_jupyter.model.task import Task
from opspawn_jupyter.model.work import ReportedEvent
from opspawn_jupyter.worker.log_text import LogText

#: How often the summary is written anew, at most.
SUMMARY_SECONDS = 1.0


class Entry(NamedTuple):
    """An event, and the task after it."""

    event: ReportedEvent
    task: Task


class Record:
    """Writes the files of one attempt, each opened when there is something to write. The log is
    only ever appended to as the journal is."""

    def __init__(self, directory: RunDirectory, attempt: int) -> None:
        self._directory = directory
        self._attempt = attempt
        self._journal: int | None = None
        self._log: int | None = None
        # That of an earlier attempt is not left standing; of a first one there is none to begin
        # with, and most are over before anybody could look.
        self._summary_due = time.monotonic() + SUMMARY_SECONDS if attempt == 1 else 0.0
        self._log_text = LogText()

    def journal(self, entries: Iterable[Entry]) -> None:
        """Put the durable ones down, for a server that cannot be told now."""
        durable = [event for event, _ in entries if event.type.is_durable]
        if not durable:
            return
        if self._journal is None:
            self._journal = run_journal.open_journal(self._directory.events)
        run_journal.append(self._journal, self._attempt, durable)

    def log(self, entries: Iterable[Entry]) -> None:
        """Tell them to people."""
        text = "".join([self._log_text.of(event, task) for event, task in entries])
        if not text:
            return
        if self._log is None:
            self._log = _append_to(self._directory.log)
        write_all(self._log, text.encode("utf-8", "backslashreplace"))

    def summarise(self, task: Task) -> None:
        """Rewrite the summary, at most once a second until the end."""
        now = time.monotonic()
        if not task.state.ends_attempt and now < self._summary_due:
            return
        self._summary_due = now + SUMMARY_SECONDS
        summary.write(self._directory, task)

    def close(self) -> None:
        """Close the files."""
        for descriptor in (self._journal, self._log):
            if descriptor is not None:
                os.close(descriptor)


def _append_to(path: os.PathLike[str]) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
