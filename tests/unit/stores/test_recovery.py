"""What a store is after its process or its disk failed, with real processes and real files."""

from __future__ import annotations

import asyncio
import math
import os
import shutil
import subprocess
import sys
import zlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import duckdb
import pytest

from jupyter_process import PATIENCE_SECONDS
from opspawn_jupyter.errors import StoreUnavailable
from opspawn_jupyter.model.event import Event
from opspawn_jupyter.model.states import State
from opspawn_jupyter.pace import QUICK_SECONDS
from opspawn_jupyter.stores import chain, segments
from opspawn_jupyter.stores.database import FILE_NAME, Database
from opspawn_jupyter.stores.duckdb import DuckDBStore
from opspawn_jupyter.stores.inspection import Inspected, inspect
from opspawn_jupyter.stores.queries import migrations
from tests.contract.store_steps import life, queued

T = TypeVar("T")
ROOT = Path(__file__).parents[3]


def process(verb: str, state: Path, quick_seconds: float = QUICK_SECONDS) -> subprocess.Popen[str]:
    """``store_process.py`` at work."""
    return subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("store_process.py")), verb, str(state)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path]),
            "QUICK_SYNC_SECONDS": str(quick_seconds),
        },
    )


def with_store(state: Path, use: Callable[[DuckDBStore], Awaitable[T]]) -> T:
    """What ``use`` gives, with the store open."""

    async def body() -> T:
        store = await DuckDBStore.open(state)
        try:
            return await use(store)
        finally:
            await store.close()

    return asyncio.run(body())


async def all_events(store: DuckDBStore) -> tuple[Event, ...]:
    """The whole history."""
    return await store.events(limit=10_000_000)


async def write_lives(store: DuckDBStore) -> None:
    """Ten finished tasks."""
    for _ in range(10):
        await store.append(life())


def assert_whole(state: Path, acknowledged: list[str]) -> None:
    """Every acknowledged task is there and ended; the chain has neither gap nor break."""

    async def look(store: DuckDBStore) -> None:
        events = await all_events(store)
        assert [event.seq for event in events] == list(range(1, len(events) + 1))
        assert chain.first_break(events) is None
        for task_id in acknowledged[:: max(1, len(acknowledged) // 50)] + acknowledged[-8:]:
            task = await store.task(task_id)
            assert task is not None
            assert task.state is State.SUCCESS
        ended = {event.task_id for event in events if event.type.value == "task.succeeded"}
        assert set(acknowledged) <= ended
        ((rows, ids),) = (await store.sql("select count(*), count(distinct id) from tasks")).rows
        assert rows == ids

    with_store(state, look)


def test_kill_9_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    """The promise of the journal: several times, in the middle of writing, on one store, whether
    event loop or thread writes."""
    acknowledged: list[str] = []
    for lines, quick_seconds in ((1, math.inf), (300, 0), (900, QUICK_SECONDS), (2000, math.inf)):
        with process("write", tmp_path / "state", quick_seconds) as writer:
            assert writer.stdout is not None
            acknowledged += [next(writer.stdout).strip() for _ in range(lines)]
            writer.kill()
            # What was still in the pipe was acknowledged as well; its last line may be torn.
            acknowledged += [line.strip() for line in writer.stdout if line.endswith("\n")]
            writer.wait()

        assert_whole(tmp_path / "state", acknowledged)


@pytest.mark.parametrize("quick_seconds", [0, math.inf])
def test_a_full_disk_refuses_and_recovers(tmp_path: Path, quick_seconds: float) -> None:
    """The caller gets a sentence, nothing half-written is read back, and room makes it go on."""
    with process("fill", tmp_path / "state", quick_seconds) as filler:
        assert filler.stdout is not None
        said = filler.stdout.read().splitlines()
        assert filler.wait() == 0

    full = [line for line in said if line.startswith("full: ")]
    assert len(full) == 1
    assert "make room" in full[0]
    assert_whole(tmp_path / "state", [line for line in said if line not in full])


def test_a_full_disk_of_the_database_delays_only_the_history(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Where DuckDB cannot write, journal and memory carry on, and one line of log says so."""
    failures = 3

    class Failing(Database):
        left = failures

        def commit(self) -> None:
            if Failing.left:
                Failing.left -= 1
                message = "no space"
                raise duckdb.IOException(message)
            super().commit()

    async def use(store: DuckDBStore) -> None:
        store._database.__class__ = Failing
        await write_lives(store)
        while Failing.left:
            assert len(await all_events(store)) == 80
            assert (await store.sql("select count(*) from tasks")).rows == ((10,),)

    with_store(tmp_path / "state", use)

    assert_whole(tmp_path / "state", [])
    failed = [record for record in caplog.records if "failed" in record.message]
    assert len(failed) == 1


async def until(condition: Callable[[], object]) -> None:
    """Wait for it, not for ever."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not condition():  # noqa: ASYNC110 (the store's threads set no asyncio event)
            await asyncio.sleep(0.02)


def test_a_full_disk_shows_and_is_over_without_anybody_asking(tmp_path: Path) -> None:
    """Health must not say that all is well, nor go on to complain when there is room again; the
    thread must find that out also where the event loop met it."""
    with process("full_and_idle", tmp_path / "state", math.inf) as filler:
        assert filler.stdout is not None
        said = filler.stdout.read().splitlines()
        assert filler.wait() == 0

    assert said[0].startswith("problem: ")
    assert "make room" in said[0]
    assert said[1] == "over"
    assert_whole(tmp_path / "state", [])


def test_a_database_that_duckdb_gave_up_is_opened_anew(tmp_path: Path) -> None:
    """A full disk at a checkpoint ends DuckDB's instance; the server must not need a restart."""
    with process("checkpoint_on_full_disk", tmp_path / "state") as filler:
        assert filler.stdout is not None
        said = filler.stdout.read().splitlines()
        assert filler.wait() == 0, said

    assert said == ["given up", "whole 30"]
    assert_whole(tmp_path / "state", [])


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs Linux's /proc")
def test_a_state_directory_that_is_deleted_under_the_server_comes_back(tmp_path: Path) -> None:
    """`rm -rf .opspawn` in the wrong window: what is open is not lost yet."""
    state = tmp_path / "state"

    async def use(store: DuckDBStore) -> None:
        await write_lives(store)
        await until(lambda: not store.status().waiting_events)
        shutil.rmtree(state)
        await write_lives(store)
        await until(lambda: (state / FILE_NAME).exists() and not store.status().waiting_events)
        await until(lambda: store.problem is None)
        assert len(await all_events(store)) == 160

    with_store(state, use)

    assert_whole(state, [])


def test_a_database_that_was_replaced_is_not_overwritten(tmp_path: Path) -> None:
    """Somebody restored a backup under a running server: he must be told to stop it first."""

    async def use(store: DuckDBStore) -> None:
        await write_lives(store)
        await until(lambda: not store.status().waiting_events)
        (tmp_path / FILE_NAME).rename(tmp_path / "mine")
        (tmp_path / FILE_NAME).write_bytes(b"backup")

        await until(lambda: store.problem is not None)

        assert "another file has taken its place" in (store.problem or "")
        await write_lives(store)  # the journal takes it all the same
        (tmp_path / "mine").rename(tmp_path / FILE_NAME)
        await until(lambda: store.problem is None and not store.status().waiting_events)

    with_store(tmp_path, use)

    assert_whole(tmp_path, [])


def test_an_inspection_tells_whole_from_damaged(tmp_path: Path) -> None:
    """The doctor looks at the files of a stopped server, and changes nothing."""
    with_store(tmp_path, write_lives)
    assert inspect(tmp_path) == Inspected(version=max(migrations()), applied=80, waiting=0)
    with duckdb.connect(tmp_path / FILE_NAME) as connection:
        connection.execute("update events set data = '{}' where seq = 7")

    with pytest.raises(StoreUnavailable, match="event 7"):
        inspect(tmp_path)


def test_an_inspection_counts_what_only_the_journal_has(tmp_path: Path) -> None:
    """After a kill that is the rule, and no damage; nor is the torn end of the last line."""
    with process("write", tmp_path / "state") as writer:
        assert writer.stdout is not None
        for _ in range(300):
            next(writer.stdout)
        writer.kill()
        writer.stdout.read()
    last = segments.segments(tmp_path / "state" / "journal")[-1]
    with last.open("ab") as file:
        file.write(b"torn")

    found = inspect(tmp_path / "state")

    with_store(tmp_path / "state", _nothing)
    after = inspect(tmp_path / "state")
    assert (after.applied, after.waiting) == (found.applied + found.waiting, 0)
    assert after.applied >= 300 * 8


async def _nothing(_: DuckDBStore) -> None:
    """To open and to close is enough."""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as somebody else")
@pytest.mark.parametrize("closed", ["", FILE_NAME, "journal"])
def test_files_of_another_account_are_named(tmp_path: Path, closed: str) -> None:
    """A server that was once started with sudo leaves them."""
    state = tmp_path / "state"
    with_store(state, write_lives)
    for path in (state, *state.rglob("*")):
        os.chown(path, 65534, 65534)
    for path in (state / closed, *(state / closed).rglob("*")):
        os.chown(path, 0, 0)
    for path in (tmp_path, *list(tmp_path.parents)[:3]):
        path.chmod(path.stat().st_mode | 0o755)

    with process("as_nobody", state) as nobody:
        assert nobody.stdout is not None
        said = nobody.stdout.read()

    assert "StoreUnavailable" in said
    assert "must be able to" in said


def test_a_second_process_is_told_who_has_the_store(tmp_path: Path) -> None:
    """Two servers in one directory: the second one says what to do."""
    with process("hold", tmp_path / "state") as holder:
        assert holder.stdout is not None
        assert next(holder.stdout) == "open\n"

        with pytest.raises(StoreUnavailable, match=rf"process {holder.pid} has it open"):
            asyncio.run(DuckDBStore.open(tmp_path / "state"))

        holder.communicate()


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """The server starts degraded and its health says why."""
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(StoreUnavailable, match="make and write files there"):
        asyncio.run(DuckDBStore.open(tmp_path / "file" / "state"))


@pytest.mark.parametrize("place", [FILE_NAME, "journal"])
def test_what_stands_in_the_way_is_named(tmp_path: Path, place: str) -> None:
    """A directory where a file should be, or a file where a directory should be."""
    if place == "journal":
        (tmp_path / place).write_text("")
    else:
        (tmp_path / place).mkdir()

    with pytest.raises(StoreUnavailable, match="must be able to"):
        asyncio.run(DuckDBStore.open(tmp_path))


def test_a_damaged_database_is_named(tmp_path: Path) -> None:
    """With what to do, and without touching it."""
    (tmp_path / FILE_NAME).write_bytes(b"not a database" * 1000)

    with pytest.raises(StoreUnavailable, match="is damaged"):
        asyncio.run(DuckDBStore.open(tmp_path))

    assert (tmp_path / FILE_NAME).read_bytes() == b"not a database" * 1000


def test_a_damaged_journal_keeps_the_store_closed(tmp_path: Path) -> None:
    """And the database is released, so that it can be repaired or copied."""
    with_store(tmp_path, write_lives)
    (path,) = segments.segments(tmp_path / "journal")
    path.write_bytes(path.read_bytes().replace(b"local", b"LOCAL", 1))

    with pytest.raises(StoreUnavailable, match="line 3 is damaged"):
        asyncio.run(DuckDBStore.open(tmp_path))

    duckdb.connect(tmp_path / FILE_NAME, config={"threads": 3}).close()


def test_an_edited_event_keeps_the_store_closed(tmp_path: Path) -> None:
    """Even where the editor made the line's checksum right again: the chain tells."""
    with_store(tmp_path, write_lives)
    (path,) = segments.segments(tmp_path / "journal")
    lines = path.read_bytes().splitlines(keepends=True)
    body = lines[2][9:-1].replace(b"local", b"other")
    lines[2] = b"%08x %s\n" % (zlib.crc32(body), body)
    path.write_bytes(b"".join(lines))

    with pytest.raises(StoreUnavailable, match="event 3 was changed"):
        asyncio.run(DuckDBStore.open(tmp_path))


def test_journal_and_database_must_belong_together(tmp_path: Path) -> None:
    """A lost database beside a pruned journal would otherwise look like an empty history."""
    with_store(tmp_path, write_lives)
    with_store(tmp_path, write_lives)
    (path,) = segments.segments(tmp_path / "journal")
    lines = path.read_bytes().splitlines(keepends=True)
    path.unlink()
    (path.parent / "journal-0000000000000101.jsonl").write_bytes(b"".join(lines[100:]))
    (tmp_path / FILE_NAME).unlink()

    with pytest.raises(StoreUnavailable, match="event 1 is missing"):
        asyncio.run(DuckDBStore.open(tmp_path))


def test_the_state_directory_is_for_its_owner_alone(tmp_path: Path) -> None:
    """Parameters and outputs lie in it."""
    with_store(tmp_path / "state", write_lives)

    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700
    (path,) = segments.segments(tmp_path / "state" / "journal")
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("version", range(len(migrations()) + 1))
def test_a_database_of_every_earlier_version_is_brought_up_to_date(
    tmp_path: Path, version: int
) -> None:
    """People upgrade from any release. Version 0 is a file without tables."""
    with duckdb.connect(tmp_path / FILE_NAME) as connection:
        for number in range(1, version + 1):
            connection.execute(migrations()[number])
            connection.execute("update meta set value = ? where key = 'version'", [number])

    with_store(tmp_path, write_lives)

    with duckdb.connect(tmp_path / FILE_NAME) as connection:
        meta = dict(connection.execute("select key, value from meta").fetchall())
        assert meta == {"version": max(migrations()), "applied": 80}
        assert connection.execute("select count(*) from finished_tasks").fetchall() == [(10,)]


def test_a_database_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    """After a downgrade: better no history than a damaged one."""
    with_store(tmp_path, write_lives)
    with duckdb.connect(tmp_path / FILE_NAME) as connection:
        connection.execute("update meta set value = 999 where key = 'version'")

    with pytest.raises(StoreUnavailable, match="its version is 999"):
        asyncio.run(DuckDBStore.open(tmp_path))


def test_a_caller_that_gives_up_does_not_undo_its_events(tmp_path: Path) -> None:
    """A closed connection cancels the request; what was under way is still whole."""

    async def use(store: DuckDBStore) -> None:
        drafts = queued("01a1fa78-6d3f-7c52-94da-2ccdacddfc4c")
        request = asyncio.ensure_future(store.append(drafts))
        await asyncio.sleep(0)
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request

        await store.append(life())

        assert [event.seq for event in await all_events(store)] == list(range(1, 11))

    with_store(tmp_path, use)
