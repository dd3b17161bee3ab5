"""A process that works with a store and can be killed: ``python store_process.py <verb> <dir>``.

It prints the id of each task once its end is acknowledged.
"""

from __future__ import annotations

import asyncio
import resource
import sys
from pathlib import Path

from opspawn_jupyter.errors import StoreUnavailable
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


async def write(directory: Path) -> None:
    """Finish tasks until somebody kills this."""
    store = await DuckDBStore.open(directory)

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
    store = await DuckDBStore.open(directory)
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


if __name__ == "__main__":
    asyncio.run({"write": write, "hold": hold, "fill": fill}[sys.argv[1]](Path(sys.argv[2])))
