"""Who writes the journal: the event loop or the thread, and what becomes of callers that leave."""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest

from jupyter_process import PATIENCE_SECONDS
from opspawn_jupyter.errors import StoreUnavailable
from opspawn_jupyter.model.event import Event
from opspawn_jupyter.model.ids import new_id
from opspawn_jupyter.stores.duckdb import DuckDBStore
from opspawn_jupyter.stores.journal import Journal
from tests.contract.store_steps import life, queued, run, submission


class Watched(Journal):
    """A journal that notes which thread wrote how many events at once."""

    wrote: list[tuple[str, int]]

    def append(self, bodies: Sequence[bytes]) -> None:
        self.wrote.append((threading.current_thread().name, len(bodies)))
        super().append(bodies)


Use = Callable[[DuckDBStore, Watched], Awaitable[None]]


def with_store(state: Path, quick_seconds: float, use: Use) -> None:
    """Run the test's body with an open store whose journal is watched."""

    async def body() -> None:
        store = await DuckDBStore.open(state, quick_sync_seconds=quick_seconds)
        journal = store._journal
        journal.__class__ = Watched
        assert isinstance(journal, Watched)
        journal.wrote = []
        try:
            await use(store, journal)
        finally:
            await store.close()

    asyncio.run(body())


@pytest.mark.parametrize(
    ("quick_seconds", "writer"), [(0, "opspawn-journal"), (math.inf, "MainThread")]
)
def test_whoever_writes_takes_all_of_a_turn_at_once(
    tmp_path: Path, quick_seconds: float, writer: str
) -> None:
    """One sync for all is what makes many callers quick."""

    async def use(store: DuckDBStore, journal: Watched) -> None:
        await asyncio.gather(*(store.append([submission(new_id())]) for _ in range(20)))

        assert journal.wrote == [(writer, 20)]

    with_store(tmp_path, quick_seconds, use)


def test_one_caller_alone_lets_others_in(tmp_path: Path) -> None:
    """He who writes on and on without an end must not keep the event loop to himself."""

    async def use(store: DuckDBStore, _journal: Watched) -> None:
        is_over = asyncio.Event()

        async def write_on() -> None:
            while not is_over.is_set():
                await store.append([submission(new_id())])

        async with asyncio.timeout(PATIENCE_SECONDS):
            writing = asyncio.create_task(write_on())
            await store.append(life())
            is_over.set()
            await writing

    with_store(tmp_path, math.inf, use)


def test_much_at_once_is_the_threads(tmp_path: Path) -> None:
    """To decide on a thousand events takes longer than the event loop may be held."""

    async def use(store: DuckDBStore, journal: Watched) -> None:
        await store.append([submission(new_id()) for _ in range(1000)])
        await store.append(queued(new_id()))

        assert journal.wrote == [("opspawn-journal", 1000), ("MainThread", 2)]

    with_store(tmp_path, math.inf, use)


def test_what_only_the_database_knows_is_the_threads(tmp_path: Path) -> None:
    """A look into the file takes milliseconds; the order of arrival stays as it was."""
    task_id = new_id()

    async def finish(store: DuckDBStore, _journal: Watched) -> None:
        await store.append([*queued(task_id), *run(task_id)])

    async def look(store: DuckDBStore, journal: Watched) -> None:
        first, refused, last = await asyncio.gather(
            store.append(queued(new_id())),
            store.append([submission(task_id)]),
            store.append(queued(new_id())),
            return_exceptions=True,
        )

        assert journal.wrote == [("opspawn-journal", 4)]
        assert isinstance(first, tuple)
        assert isinstance(refused, Exception)
        assert isinstance(last, tuple)
        assert first[-1].seq < last[0].seq

    with_store(tmp_path, math.inf, finish)
    with_store(tmp_path, math.inf, look)


@pytest.mark.parametrize("quick_seconds", [0, math.inf])
def test_the_events_of_a_caller_that_went_away_stay(tmp_path: Path, quick_seconds: float) -> None:
    """A browser that closes its connection must not leave half a submission behind."""

    async def use(store: DuckDBStore, _journal: Watched) -> None:
        leaving = asyncio.create_task(store.append(queued(new_id())))
        await asyncio.sleep(0)
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving

        assert len(await store.events()) == 2

    with_store(tmp_path, quick_seconds, use)


@pytest.mark.parametrize("quick_seconds", [0, math.inf])
def test_several_event_loops_write_into_one_order(tmp_path: Path, quick_seconds: float) -> None:
    """A library may use the store from a loop of its own; nobody may wait for ever, and each
    event has a place of its own."""

    async def use(store: DuckDBStore, journal: Watched) -> None:
        async def write_some() -> list[Event]:
            return [event for _ in range(30) for event in await store.append(queued(new_id()))]

        async def write_in_parallel() -> list[Event]:
            parts = await asyncio.gather(*(write_some() for _ in range(3)))
            return [event for part in parts for event in part]

        others = [asyncio.to_thread(asyncio.run, write_in_parallel()) for _ in range(3)]
        async with asyncio.timeout(PATIENCE_SECONDS):
            written = await asyncio.gather(write_in_parallel(), *others)

        assert sorted(e.seq for part in written for e in part) == list(range(1, 721))
        assert sum(count for _, count in journal.wrote) == 720

    with_store(tmp_path, quick_seconds, use)


def test_what_comes_after_the_end_is_refused(tmp_path: Path) -> None:
    """A request that met the end of the server must not wait for ever, nor write into a file that
    is no longer the journal."""

    async def use(store: DuckDBStore, _journal: Watched) -> None:
        await store.close()

        for drafts in ([submission(new_id())], [submission(new_id()) for _ in range(100)]):
            with pytest.raises(StoreUnavailable, match="closed"):
                await store._writer.write(drafts)

    with_store(tmp_path, math.inf, use)
