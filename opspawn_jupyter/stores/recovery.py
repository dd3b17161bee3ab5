"""Opening: the database, the tasks that were under way, and what only the journal knows."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from opspawn_jupyter.errors import StoreUnavailable
from opspawn_jupyter.model.event import Event
from opspawn_jupyter.stores import chain, rows, segments
from opspawn_jupyter.stores.archive import Archive
from opspawn_jupyter.stores.database import FILE_NAME, Database
from opspawn_jupyter.stores.journal import Journal
from opspawn_jupyter.stores.memory import Memory

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Recovered:
    """An open store's parts, in agreement with each other."""

    database: Database
    archive: Archive
    memory: Memory
    journal: Journal


def recover(state_directory: Path) -> Recovered:
    """The parts as they were when the last process ended, however it ended.

    Raises ``StoreUnavailable`` that says what is wrong.
    """
    directory = state_directory / "journal"
    try:
        state_directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        directory.mkdir(mode=0o700, exist_ok=True)
        # Before the journal is touched: it keeps a second process out.
        database = Database(state_directory / FILE_NAME)
    except OSError as failure:
        raise _unusable(state_directory, failure) from failure
    with ExitStack() as on_failure:
        on_failure.callback(database.close)
        try:
            recovered = _recover(database, directory)
        except OSError as failure:
            raise _unusable(directory, failure) from failure
        on_failure.pop_all()
    return recovered


def _recover(database: Database, directory: Path) -> Recovered:
    if dropped := segments.mend(directory):
        logger.warning("journal end dropped bytes=%d", dropped)
    applied = int(database.value("meta", key="applied"))
    memory = Memory(applied, database.value("hash_of_event", seq=applied) or "")
    archive = Archive(database)
    stored = map(rows.event, database.rows("events_of_unfinished_tasks"))
    records = map(rows.record, database.rows("open_records"))
    memory.load(stored, records, _fresh(database, directory, applied), archive)
    if memory.event_count:
        logger.info("journal replayed events=%d", memory.event_count)
    return Recovered(
        database=database,
        archive=archive,
        memory=memory,
        journal=Journal(directory, memory.seq + 1),
    )


def _fresh(database: Database, directory: Path, applied: int) -> Iterator[Event]:
    """The journal's events after ``applied``. Each is checked against the one before it, also those
    that the database has: most of them, which are not made for that."""
    seq, digest = applied, ""
    for number, line in enumerate(segments.lines(directory)):
        place = chain.place(line)
        if number == 0 and place is not None:
            seq = min(place.seq - 1, applied)
            digest = database.value("hash_of_event", seq=seq) or ""
        seq += 1
        if place is not None and place.seq != seq:
            raise StoreUnavailable(
                str(directory),
                hint=f"event {seq} is missing; restore journal and database from one backup, or "
                "stop the server and run `opspawn store rebuild`",
            )
        if place is None or not place.follows(digest):
            raise StoreUnavailable(
                str(directory),
                hint=f"event {seq} was changed or does not follow the one before it; "
                "restore journal and database from one backup, or stop the server and run "
                "`opspawn store rebuild`",
            )
        digest = place.hash
        if seq > applied:
            yield segments.event(line)


def _unusable(path: Path, failure: OSError) -> StoreUnavailable:
    return StoreUnavailable(
        str(path), hint=f"{failure.strerror}: the server must be able to make and write files there"
    )
