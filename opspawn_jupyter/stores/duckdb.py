"""The store of one machine: a journal for durability, memory for the present, DuckDB to ask.

An event is acknowledged once it lies in the journal, which is cheap because all that wait share
one sync. Unfinished tasks live in memory. Every second one transaction inserts the
new events and newly finished tasks into DuckDB, together with the seq they reach to; what the
journal has beyond that seq is replayed at the next start: exactly once.

The event loops decide and journal themselves while the disk is quick, else a thread does it for
them (``writer.py``); another thread writes DuckDB, some read it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import ParamSpec, TypeVar

import duckdb

from opspawn_jupyter.errors import StoreUnavailable
from opspawn_jupyter.model.diagnosis import StoreStatus
from opspawn_jupyter.model.event import Draft, Event
from opspawn_jupyter.model.record import Record, RecordQuery
from opspawn_jupyter.model.states import Subject
from opspawn_jupyter.model.table import Table
from opspawn_jupyter.model.task import Task, TaskPage, TaskQuery
from opspawn_jupyter.pace import QUICK_SECONDS, Pace
from opspawn_jupyter.stores import listing, record_listing, recovery, rows
from opspawn_jupyter.stores.database import fetch
from opspawn_jupyter.stores.flusher import Flusher
from opspawn_jupyter.stores.memory import Held
from opspawn_jupyter.stores.recovery import Recovered
from opspawn_jupyter.stores.segments import segments, total_bytes
from opspawn_jupyter.stores.user_sql import UnknownName, UserQuery
from opspawn_jupyter.stores.watchdog import Watchdog
from opspawn_jupyter.stores.writer import IS_CLOSED, Writer

logger = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

_FLUSH_EVENTS = 20_000
_MOST_MATCHES = 5


class DuckDBStore:
    """The ``Store`` port. Made by ``open``; used from any event loop of this process."""

    def __init__(
        self, recovered: Recovered, *, sql_timeout_seconds: float, sql_max_rows: int, pace: Pace
    ) -> None:
        self._database = recovered.database
        self._archive = recovered.archive
        self._memory = recovered.memory
        self._journal = recovered.journal
        self._sql_timeout_seconds = sql_timeout_seconds
        self._sql_max_rows = sql_max_rows
        #: Connections of users' queries under way, to be stopped at the end.
        self._asking: set[duckdb.DuckDBPyConnection] = set()
        self._is_closed = False
        self._readers = ThreadPoolExecutor(4, "opspawn-read")
        self._queries = ThreadPoolExecutor(2, "opspawn-sql")
        self._watchdog = Watchdog()
        self._flusher = Flusher(self._database, self._archive, self._memory, self._journal)
        self._writer = Writer(self._memory, self._journal, self._archive, pace, self._written)

    @classmethod
    async def open(
        cls,
        state_directory: Path,
        *,
        sql_timeout_seconds: float = 30,
        sql_max_rows: int = 10_000,
        quick_sync_seconds: float = QUICK_SECONDS,
    ) -> DuckDBStore:
        """The store in this directory, made where there is none, recovered where there is one.

        While syncs take no longer than ``quick_sync_seconds`` the event loop waits for them
        itself; with 0 it never does, with ``math.inf`` always.
        Raises ``StoreUnavailable`` that says what is wrong.
        """

        def build() -> DuckDBStore:
            return cls(
                recovery.recover(state_directory),
                sql_timeout_seconds=sql_timeout_seconds,
                sql_max_rows=sql_max_rows,
                pace=Pace(quick_sync_seconds),
            )

        return await asyncio.to_thread(build)

    async def append(self, drafts: Sequence[Draft]) -> tuple[Event, ...]:
        """See ``Store.append``. Raises ``ValueError`` for an event that is not durable."""
        for draft in drafts:
            if not draft.type.is_durable:
                message = f"{draft.type.value} is not durable: it is told, never stored"
                raise ValueError(message)
        self._require_open()
        return await self._writer.write(tuple(drafts))

    async def task(self, task_id: str) -> Task | None:
        """See ``Store.task``."""
        return self._memory.task(task_id) or await self._read(self._archive.task, task_id)

    async def resolve(self, reference: str) -> tuple[str, ...]:
        """See ``Store.resolve``."""
        held = {task.id for task in self._memory.held().tasks if task.id.endswith(reference)}
        found = await self._read(
            self._database.rows, "finished_ids_ending", reference=reference, limit=_MOST_MATCHES
        )
        return tuple(sorted(held | {id for (id,) in found})[:_MOST_MATCHES])

    async def task_by_key(self, idempotency_key: str) -> Task | None:
        """See ``Store.task_by_key``."""
        held = self._memory.task_by_key(idempotency_key)
        return held or await self._read(self._archive.task_by_key, idempotency_key)

    async def unfinished(self) -> tuple[Task, ...]:
        """See ``Store.unfinished``."""
        live = [task for task in self._memory.held().tasks if not task.state.is_final]
        return tuple(sorted(live, key=lambda task: (task.created_at, task.id)))

    async def tasks(self, query: TaskQuery) -> TaskPage:
        """See ``Store.tasks``."""
        return await self._read(self._tasks, query)

    async def events(
        self, *, after: int = 0, limit: int = 1000, task_id: str | None = None
    ) -> tuple[Event, ...]:
        """See ``Store.events``."""
        await self._caught_up()
        return await self._read(self._events, after, limit, task_id)

    async def record(self, subject: Subject, record_id: str) -> Record | None:
        """See ``Store.record``."""
        held = self._memory.record(subject, record_id)
        return held or await self._read(self._archive.record, subject, record_id)

    async def record_by_key(self, subject: Subject, key: str) -> Record | None:
        """See ``Store.record_by_key``."""
        held = self._memory.record_by_key(subject, key)
        found = held or await self._read(self._archive.record_by_key, subject, key)
        return found and (self._memory.record(subject, found.id) or found)

    async def records(self, query: RecordQuery) -> tuple[Record, ...]:
        """See ``Store.records``."""
        if query.is_open:  # memory has every open one
            return record_listing.fitting(self._memory.records(query.subject), query)
        await self._caught_up()
        return await self._read(self._records, query)

    async def last_seq(self) -> int:
        """See ``Store.last_seq``."""
        return self._memory.seq

    async def sql(self, query: str) -> Table:
        """See ``Store.sql``."""
        await self._caught_up()
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._queries, self._sql, query)

    @property
    def problem(self) -> str | None:
        """See ``Store.problem``."""
        return self._writer.problem or self._flusher.problem

    def status(self) -> StoreStatus:
        """See ``Store.status``."""
        return StoreStatus(
            problem=self.problem,
            last_seq=self._memory.seq,
            waiting_events=self._memory.event_count,
            written_at=self._flusher.written_at,
            journal_segments=len(segments(self._journal.directory)),
            journal_bytes=total_bytes(segments(self._journal.directory)),
            database_bytes=total_bytes(self._database.files),
        )

    async def close(self) -> None:
        """See ``Store.close``."""
        if not self._is_closed:
            self._is_closed = True
            await asyncio.to_thread(self._close)

    async def _read(self, read: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        self._require_open()
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._readers, lambda: read(*args, **kwargs))

    async def _caught_up(self) -> None:
        """What is put is seen by whoever asks after that, also where its caller did not wait."""
        self._require_open()
        await self._writer.caught_up()

    def _require_open(self) -> None:
        if self._is_closed:
            raise StoreUnavailable(hint=IS_CLOSED)

    def _tasks(self, query: TaskQuery) -> TaskPage:
        with self._snapshot() as (cursor, held):
            return listing.page(cursor, held.tasks, query)

    def _events(self, after: int, limit: int, task_id: str | None) -> tuple[Event, ...]:
        with self._snapshot() as (cursor, held):
            found = fetch(cursor, "events_after", after=after, limit=limit, task_id=task_id)
        fresh = (
            event for event in held.events if event.seq > after and task_id in (None, event.task_id)
        )
        return (*map(rows.event, found), *fresh)[:limit]

    def _records(self, query: RecordQuery) -> tuple[Record, ...]:
        with self._snapshot() as (cursor, held):
            return record_listing.page(cursor, held.records, query)

    def _sql(self, query: str) -> Table:
        question = UserQuery(
            query,
            self._watchdog,
            timeout_seconds=self._sql_timeout_seconds,
            max_rows=self._sql_max_rows,
        )
        try:
            return self._answer(question)
        except UnknownName:
            question.sees_all = True
            return self._answer(question)

    def _answer(self, question: UserQuery) -> Table:
        with self._snapshot() as (cursor, held):
            self._asking.add(cursor)
            try:
                return question.answer(cursor, held)
            finally:
                self._asking.discard(cursor)

    @contextmanager
    def _snapshot(self) -> Iterator[tuple[duckdb.DuckDBPyConnection, Held]]:
        """The file as of some seq, and everything that came after it: together the whole."""
        with self._database.cursor() as cursor:
            with self._flusher.handover:
                fetch(cursor, "begin_reading")
                held = self._memory.held()
            yield cursor, held

    def _written(self) -> None:
        if self._memory.event_count >= _FLUSH_EVENTS:
            self._flusher.hurry()

    def _close(self) -> None:
        for cursor in tuple(self._asking):
            cursor.interrupt()
        self._queries.shutdown(cancel_futures=True)
        self._watchdog.stop()
        self._readers.shutdown()
        self._writer.stop()
        self._flusher.stop()
        try:
            self._database.close()
        except duckdb.Error:
            logger.exception("history not written whole; the next start does it")
