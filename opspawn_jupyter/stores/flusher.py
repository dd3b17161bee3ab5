"""The thread that writes the history: what memory holds goes into DuckDB, again and again.

What cannot be written stays in memory and journal and is tried again. DuckDB gives an instance up
after some failures, a full disk at a checkpoint among them; the file is then opened anew. A file
that was deleted under the server is put back first.
"""

from __future__ import annotations

import logging
from datetime import datetime
from threading import Event as Flag
from threading import Lock, Thread

import duckdb

from opspawn_jupyter import faults
from opspawn_jupyter.errors import OpspawnError, StoreUnavailable
from opspawn_jupyter.model import clock
from opspawn_jupyter.stores.archive import Archive
from opspawn_jupyter.stores.database import Database, first_line
from opspawn_jupyter.stores.journal import Journal
from opspawn_jupyter.stores.memory import Memory

logger = logging.getLogger(__name__)

_FLUSH_SECONDS = 1.0
#: Without a change for so long, nobody is likely to wait for the next one; and how often that is
#: hoped for.
_CALM_SECONDS = 0.2
_MOST_LOOKS = 10
_PATIENCE_BEATS = 2


class Flusher:
    """Owns the writing side of the database."""

    def __init__(
        self, database: Database, archive: Archive, memory: Memory, journal: Journal
    ) -> None:
        self._database = database
        self._archive = archive
        self._memory = memory
        self._journal = journal
        #: Held while what memory holds and what DuckDB shows change together.
        self.handover = Lock()
        #: What keeps the history from being written, and what to do; None while nothing does.
        self.problem: str | None = None
        #: When the history was written last.
        self.written_at: datetime | None = None
        self._must_reopen = False
        #: For how many beats the file has been gone.
        self._missing = 0
        self._is_stopping = False
        self._due = Flag()
        self._thread = Thread(target=self._run, name="opspawn-flush", daemon=True)
        self._thread.start()

    def hurry(self) -> None:
        """Write now, not at the next beat."""
        self._due.set()

    def stop(self) -> None:
        """Write what there is, then end."""
        self._is_stopping = True
        self._due.set()
        self._thread.join()
        self._try()

    def _run(self) -> None:
        while not self._is_stopping:
            if not self._due.wait(_FLUSH_SECONDS):
                self._await_calm()
            self._due.clear()
            self._try()

    def _await_calm(self) -> None:
        """DuckDB takes a processor, and Python's lock now and then: not while a task that is over
        in milliseconds is on its way."""
        for _ in range(_MOST_LOOKS):
            seq = self._memory.seq
            if self._due.wait(_CALM_SECONDS) or self._memory.seq == seq:
                return

    def _try(self) -> None:
        """Write; where it fails all stays in memory and journal for the next time."""
        try:
            self._repair()
            self._flush()
        except Exception as failure:  # the thread must outlive whatever one batch meets
            self._database.abandon()
            if isinstance(failure, (duckdb.FatalException, duckdb.ConnectionException)):
                self._must_reopen = True
            self._note(failure)
        else:
            self._note(None)

    def _repair(self) -> None:
        self._missing = 0 if self._database.is_in_place else self._missing + 1
        # Whoever deletes a directory deletes file by file: let him come to the end.
        patience = 1 if self._is_stopping else _PATIENCE_BEATS
        if self._missing >= patience or self._database.is_being_rescued:
            self._database.put_back()
            logger.warning("database file had been deleted and was put back")
            self._must_reopen = True
        if self._must_reopen or self._database.is_given_up:
            self._reopen()

    def _reopen(self) -> None:
        with self.handover:
            self._database.reopen()
            applied = int(self._database.value("meta", key="applied"))
            if applied < self._memory.floor:
                self._database.shut()  # better no answer than half of one
                raise StoreUnavailable(
                    hint=f"the database ends at event {applied} and lacks events up to "
                    f"{self._memory.floor}; restart the server, which reads them from the journal"
                )
            self._memory.forget(applied)
        self._must_reopen = False
        self._database.rescued()
        logger.warning("database opened anew applied=%d", applied)

    def _flush(self) -> None:
        held = self._memory.held()
        if not held.events:
            return
        applied = held.events[-1].seq
        faults.reach("store.before_flush")
        self._database.begin(held.events, held.finished)
        with self.handover:
            self._database.commit()
            # Before memory lets go: whoever misses a task there must look into the file, and
            # whoever sees that nothing waits asks when it was written.
            self._archive.grow(held.finished, held.events)
            self.written_at = clock.now()
            self._memory.forget(applied)
        faults.reach("store.after_flush")
        self._journal.prune(applied)

    def _note(self, failure: Exception | None) -> None:
        """Log when writing stops and when it works again, not each time."""
        if failure is not None and self.problem is None:
            logger.error("history write failed", exc_info=failure)
        elif failure is None and self.problem is not None:
            logger.info("history write works again")
        self.problem = _sentence(failure) if failure is not None else None


def _sentence(failure: Exception) -> str:
    if isinstance(failure, OpspawnError):
        return failure.message
    reason = first_line(failure) if isinstance(failure, duckdb.Error) else str(failure)
    return (
        "Tasks are accepted and kept in the journal, but the history database cannot be written; "
        f"make room on its disk or repair it, and it goes on by itself: {reason}"
    )
