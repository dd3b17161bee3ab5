"""The store is killed in the middle of write load, again and again."""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from opspawn_jupyter.pace import QUICK_SECONDS
from opspawn_jupyter.stores import chain
from opspawn_jupyter.stores.duckdb import DuckDBStore
from tests.chaos import ledger
from tests.chaos.world import is_long

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

KILLS = 300 if is_long() else 5
#: Then another store is begun: reading all of a history again and again takes longer each time.
KILLS_OF_A_STORE = 10
#: The thread, whoever is quicker, and the event loop.
WRITERS = ("0", str(QUICK_SECONDS), "inf")
ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "tests" / "unit" / "stores" / "store_process.py"


def written_until_killed(state: Path, chance: random.Random) -> list[str]:
    """Ids of tasks whose end was acknowledged before the kill."""
    writer = subprocess.Popen(
        [sys.executable, str(SCRIPT), "write", str(state)],
        stdout=subprocess.PIPE,
        text=True,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path]),
            "QUICK_SYNC_SECONDS": chance.choice(WRITERS),
        },
    )
    assert writer.stdout is not None
    with writer, writer.stdout as told:
        lines = [told.readline() for _ in range(chance.randrange(1, 800))]
        writer.kill()
        lines += told.readlines()
    return [line.strip() for line in lines if line.endswith("\n")]


async def missing(state: Path, acknowledged: list[str]) -> list[str]:
    """What was acknowledged and is not there; the history itself must be whole."""
    store = await DuckDBStore.open(state)
    try:
        events = await store.events(limit=10_000_000)
        assert [event.seq for event in events] == list(range(1, len(events) + 1))
        assert chain.first_break(events) is None
        found = {event.task_id for event in events if event.type.value == "task.succeeded"}
        return [task_id for task_id in acknowledged if task_id not in found]
    finally:
        await store.close()


def test_kill_9_under_write_load_loses_nothing(tmp_path: Path) -> None:
    """What was acknowledged is there after each of them, and the chain of events is whole."""
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    count = 0
    lost: list[str] = []

    for done in range(0, KILLS, KILLS_OF_A_STORE):
        acknowledged: list[str] = []
        for _ in range(min(KILLS_OF_A_STORE, KILLS - done)):
            acknowledged += written_until_killed(tmp_path / str(done), chance)
        lost += asyncio.run(missing(tmp_path / str(done), acknowledged))
        count += len(acknowledged)

    ledger.note_store(KILLS, count, len(lost))
    assert not lost
