"""Look at the files of a store that no server has open. Changes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb

from opspawn_jupyter.errors import StoreUnavailable
from opspawn_jupyter.model.event import Event
from opspawn_jupyter.stores import chain, rows, segments
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


def event_hashes(state_directory: Path) -> Iterator[str]:
    """The hash of each event, in order, once its link was found to hold.

    Raises ``StoreUnavailable`` that names the first event that is wrong.
    """
    path = state_directory / FILE_NAME
    seq, digest = 0, ""
    if path.exists():
        with reading(path) as connection:
            for event in _linked(_stored(connection), seq, digest, path):
                seq, digest = event.seq, event.hash
                yield digest
    directory = state_directory / "journal"
    for event in _linked(_journalled(directory, seq), seq, digest, directory):
        yield event.hash


def _walk_database(connection: duckdb.DuckDBPyConnection, path: Path) -> tuple[int, str]:
    seq, digest = 0, ""
    for event in _linked(_stored(connection), seq, digest, path):
        seq, digest = event.seq, event.hash
    return seq, digest


def _walk_journal(directory: Path, seq: int, digest: str) -> int:
    """Seq of the last event. What the database has as well is only read."""
    for event in _linked(_journalled(directory, seq), seq, digest, directory):
        seq = event.seq
    return seq


def _stored(connection: duckdb.DuckDBPyConnection) -> Iterator[Event]:
    seq = 0
    while page := fetch(connection, "events_after", after=seq, limit=_PAGE, task_id=None):
        for event in map(rows.event, page):
            seq = event.seq
            yield event


def _journalled(directory: Path, after: int) -> Iterator[Event]:
    for event in segments.read(directory, is_tail_lenient=True):
        if event.seq > after:
            yield event


def _linked(events: Iterable[Event], seq: int, digest: str, path: Path) -> Iterator[Event]:
    """The events, each checked to follow the one before."""
    for event in events:
        if event.seq != seq + 1 or not chain.is_linked(event, digest):
            hint = f"event {seq + 1} is missing, was changed or does not follow the one before"
            raise StoreUnavailable(str(path), hint=hint)
        seq, digest = event.seq, event.hash
        yield event
