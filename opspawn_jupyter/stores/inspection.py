"""Look at the files of a store that no server has open. Changes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import duckdb

from opspawn_jupyter.errors import StoreUnavailable
from opspawn_jupyter.stores import chain, journal, rows
from opspawn_jupyter.stores.database import FILE_NAME, fetch, reading
from opspawn_jupyter.stores.queries import migrations

_PAGE = 10_000


@dataclass(frozen=True, kw_only=True)
class Inspected:
    """What the files hold; it all fits together."""

    version: int
    #: Events in the database.
    applied: int
    #: Events that only the journal has; the next start takes them over.
    waiting: int


def inspect(state_directory: Path) -> Inspected:
    """Check every link of the chain, through database and journal.

    Raises ``StoreUnavailable`` that says what is wrong.
    """
    path = state_directory / FILE_NAME
    with reading(path) as connection:
        known = max(migrations())
        version = int(fetch(connection, "meta", key="version")[0][0])
        if version > known:
            hint = f"its version is {version} and this opspawn knows versions up to {known}"
            raise StoreUnavailable(str(path), hint=hint)
        seq, digest = _walk_database(connection, path)
    last = _walk_journal(state_directory / "journal", seq, digest)
    return Inspected(version=version, applied=seq, waiting=last - seq)


def _walk_database(connection: duckdb.DuckDBPyConnection, path: Path) -> tuple[int, str]:
    seq, digest = 0, ""
    while page := fetch(connection, "events_after", after=seq, limit=_PAGE, task_id=None):
        for event in map(rows.event, page):
            if event.seq != seq + 1 or not chain.is_linked(event, digest):
                hint = f"event {seq + 1} is missing, was changed or does not follow the one before"
                raise StoreUnavailable(str(path), hint=hint)
            seq, digest = event.seq, event.hash
    return seq, digest


def _walk_journal(directory: Path, seq: int, digest: str) -> int:
    """Seq of the last event. What the database has as well is only read."""
    for event in journal.read(directory, is_tail_lenient=True):
        if event.seq <= seq:
            continue
        if event.seq != seq + 1 or not chain.is_linked(event, digest):
            hint = f"event {seq + 1} is missing, was changed or does not follow the one before"
            raise StoreUnavailable(str(directory), hint=hint)
        seq, digest = event.seq, event.hash
    return seq
