"""A process that works with a store and can be killed: ``python store_process.py <verb> <dir>``.

``QUICK_SYNC_SECONDS`` in its environment says whether event loop or thread writes the journal.
It prints the id of each task once its end is acknowledged.
"""

from __future__ import annotations

import asyncio
import os
import resource
import sys
from collections.abc import Callable
from pathlib import Path

import duckdb

from opspawn_jupyter.errors import StoreUnavailable
from opspawn_jupyter.pace import QUICK_SECONDS
from opspawn_jupyter.stores.duckdb import DuckDBStore
from tests.contract.store_steps import life


def say(text: str) -> None:
    """Tell the test at once."""
    print(text, flush=True)


async def one_life(store: DuckDBStore) -> None:
    """Submit and finish one task."""
    drafts = life()
    await store.append(drafts[:2])
    await store.append(drafts[2:])
    say(drafts[0].task_id)


async def opened(directory: Path) -> DuckDBStore:
    """The store, on a disk that is as quick as the environment says."""
    quick = float(os.environ.get("QUICK_SYNC_SECONDS", QUICK_SECONDS))
    return await DuckDBStore.open(directory, quick_sync_seconds=quick)


async def write(directory: Path) -> None:
    """Finish tasks until somebody kills this."""
    store = await opened(directory)

    async def client() -> None:
        while True:
            await one_life(store)

    await asyncio.gather(*(client() for _ in range(8)))


async def hold(directory: Path) -> None:
    """Keep the store open until standard input ends."""
    store = await DuckDBStore.open(directory)
    say("open")
    await asyncio.to_thread(sys.stdin.read)
    await store.close()


async def fill(directory: Path) -> None:
    """Write until files may grow no more, then with room again."""
    store = await opened(directory)
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))
    try:
        while True:
            await one_life(store)
    except StoreUnavailable as failure:
        say(f"full: {failure}")
    seq = await store.last_seq()
    count = len(await store.unfinished())
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    assert await store.last_seq() == seq
    assert count <= 1
    await one_life(store)
    await store.close()


async def until(condition: Callable[[], object]) -> None:
    """Wait for it, not for ever."""
    async with asyncio.timeout(120):
        while not condition():  # noqa: ASYNC110 (the store's threads set no asyncio event)
            await asyncio.sleep(0.02)


def set_limit(size_bytes: int) -> None:
    """Let no file grow beyond this; -1 lifts it."""
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard if size_bytes < 0 else size_bytes, hard))


async def full_and_idle(directory: Path) -> None:
    """Meet a full disk, then ask for nothing until it is over."""
    store = await opened(directory)
    await store.append(life())
    set_limit(0)
    try:
        await store.append(life())
    except StoreUnavailable:
        say(f"problem: {store.problem}")
    set_limit(-1)
    await until(lambda: store.problem is None)
    say("over")
    await store.close()


async def checkpoint_on_full_disk(directory: Path) -> None:
    """Have DuckDB give its instance up, and go on."""
    store = await DuckDBStore.open(directory)
    for _ in range(20):
        await store.append(life())
    await until(lambda: not store.status().waiting_events)
    set_limit(20_000)
    try:
        store._database._connection.execute("CHECKPOINT")
    except duckdb.FatalException:
        say("given up")
    set_limit(-1)
    for _ in range(10):
        await store.append(life())
    await until(lambda: store.problem is None and not store.status().waiting_events)
    say(f"whole {(await store.sql('select count(*) from tasks')).rows[0][0]}")
    await store.close()


async def as_nobody(directory: Path) -> None:
    """Open the store under another account."""
    os.setuid(65534)
    try:
        await DuckDBStore.open(directory)
    except StoreUnavailable as failure:
        say(f"StoreUnavailable {failure}")


VERBS = (write, hold, fill, full_and_idle, checkpoint_on_full_disk, as_nobody)

if __name__ == "__main__":
    verbs = {verb.__name__: verb for verb in VERBS}
    asyncio.run(verbs[sys.argv[1]](Path(sys.argv[2])))
