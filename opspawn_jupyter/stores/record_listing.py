"""Pages of records: those in memory as they are there, the others as the database has them."""

from __future__ import annotations

from collections.abc import Iterable

import duckdb

from opspawn_jupyter.model.record import Record, RecordQuery
from opspawn_jupyter.stores import rows
from opspawn_jupyter.stores.database import fetch


def page(
    cursor: duckdb.DuckDBPyConnection, held: Iterable[Record], query: RecordQuery
) -> tuple[Record, ...]:
    """The records that fit the query, newest first."""
    known = [record for record in held if record.subject is query.subject]
    found = fetch(
        cursor,
        "record_page",
        subject=query.subject.value,
        task_id=query.task_id,
        before=query.before,
        key_prefix=query.key_prefix,
        key_from=query.key_from,
        is_open=query.is_open,
        held=[record.id for record in known],
        limit=query.limit,
    )
    return fitting([*known, *map(rows.record, found)], query)


def fitting(records: Iterable[Record], query: RecordQuery) -> tuple[Record, ...]:
    """Those of the records that fit, in the query's order."""
    found = [record for record in records if _fits(record, query)]
    if query.key_from is not None:
        return tuple(sorted(found, key=lambda record: record.key or "")[: query.limit])
    return tuple(sorted(found, key=lambda record: record.id, reverse=True)[: query.limit])


def _fits(record: Record, query: RecordQuery) -> bool:
    return (
        (query.is_open is None or record.is_open == query.is_open)
        and (query.task_id is None or record.task_id == query.task_id)
        and (query.before is None or record.id < query.before)
        and (query.key_prefix is None or (record.key or "").startswith(query.key_prefix))
        and (query.key_from is None or (record.key or "") >= query.key_from)
    )
