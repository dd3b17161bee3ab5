"""What every adapter of the Store port must do. A new adapter adds one line to ``ADAPTERS``."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from jupyter_process import PATIENCE_SECONDS
from opspawn_jupyter.errors import (
    IllegalTransition,
    InvalidRequest,
    KeyTaken,
    QueryInvalid,
    RecordChanged,
    StoreUnavailable,
)
from opspawn_jupyter.model.advance import advance
from opspawn_jupyter.model.event import Draft, Event
from opspawn_jupyter.model.ids import new_id, short
from opspawn_jupyter.model.record import Change, RecordQuery
from opspawn_jupyter.model.record import draft as record_draft
from opspawn_jupyter.model.states import CellState, EventType, State, Subject
from opspawn_jupyter.model.task import SORT_FIELDS, Task, TaskQuery
from opspawn_jupyter.ports import Store
from opspawn_jupyter.stores.duckdb import DuckDBStore
from tests.contract.store_steps import life, pruned, queued, report, run, submission

Open = Callable[..., Awaitable[Store]]

#: The journal is written by its thread, and in the event loop.
ADAPTERS: dict[str, Open] = {
    "duckdb": partial(DuckDBStore.open, quick_sync_seconds=0),
    "duckdb-quick-disk": partial(DuckDBStore.open, quick_sync_seconds=math.inf),
}

Stores = Callable[..., Any]


@pytest.fixture(params=ADAPTERS)
def stores(request: pytest.FixtureRequest, tmp_path: Path) -> Stores:
    """Opens the store of this test, and again what was closed before."""

    @asynccontextmanager
    async def opened(**limits: Any) -> AsyncIterator[Store]:
        store = await ADAPTERS[request.param](tmp_path / "state", **limits)
        try:
            yield store
        finally:
            await store.close()

    return opened


def in_store(stores: Stores, use: Callable[[Store], Awaitable[None]], **limits: Any) -> None:
    """Run the test's body with an open store."""

    async def body() -> None:
        async with stores(**limits) as store:
            await use(store)

    asyncio.run(body())


async def pages(store: Store, query: TaskQuery) -> list[Task]:
    """The whole listing, page by page."""
    listed: list[Task] = []
    while True:
        page = await store.tasks(query)
        listed += page.tasks
        if page.next_cursor is None:
            return listed
        query = replace(query, cursor=page.next_cursor)


def test_a_task_lives_from_submission_to_success(stores: Stores) -> None:
    """The one path that everything else is built on."""

    async def use(store: Store) -> None:
        task_id = new_id()
        await store.append(queued(task_id, labels={"team": "sales"}))
        waiting = await store.task(task_id)
        events = await store.append(run(task_id))
        ended = await store.task(task_id)

        assert waiting is not None
        assert waiting.state is State.QUEUED
        assert waiting.seq == 2
        assert ended is not None
        assert ended.state is State.SUCCESS
        assert ended.outputs == {"rows": 42}
        assert [cell.state for cell in ended.cells] == [CellState.SUCCESS, CellState.NOT_RUN]
        assert ended.seq == events[-1].seq == await store.last_seq() == 8
        assert await store.unfinished() == ()

    in_store(stores, use)


def test_an_empty_store_answers_everything_with_nothing(stores: Stores) -> None:
    """The first look of a fresh installation must not be an error."""

    async def use(store: Store) -> None:
        assert await store.last_seq() == 0
        assert await store.task(new_id()) is None
        assert await store.task_by_key("none") is None
        assert await store.resolve("abcdef") == ()
        assert await store.events() == ()
        assert (await store.tasks(TaskQuery())).tasks == ()
        assert await store.append([]) == ()

    in_store(stores, use)


def test_drafts_are_stored_all_or_none(stores: Stores) -> None:
    """A submission without its queueing would be a task that nobody ever runs."""

    async def use(store: Store) -> None:
        task_id = new_id()

        with pytest.raises(IllegalTransition):
            await store.append([submission(task_id), report(task_id, 1, EventType.SUCCEEDED)])

        assert await store.task(task_id) is None
        assert await store.last_seq() == 0
        assert await store.events() == ()

    in_store(stores, use)


def test_an_illegal_transition_harms_nobody_else(stores: Stores) -> None:
    """Callers share a write; a bad one among them must not spoil it or leave a gap."""

    async def use(store: Store) -> None:
        good = [new_id() for _ in range(20)]
        bad = [Draft(task_id=new_id(), type=EventType.QUEUED) for _ in range(20)]
        mixed = [
            drafts
            for good_id, bad_draft in zip(good, bad, strict=True)
            for drafts in (queued(good_id), [bad_draft])
        ]

        answers = await asyncio.gather(*map(store.append, mixed), return_exceptions=True)

        assert [isinstance(answer, IllegalTransition) for answer in answers] == [False, True] * 20
        assert [event.seq for event in await store.events()] == list(range(1, 41))
        assert len(await store.unfinished()) == 20

    in_store(stores, use)


def test_of_two_starts_one_is_refused(stores: Stores) -> None:
    """The second worker must learn that the task is taken, or it runs twice."""

    async def use(store: Store) -> None:
        task_id = new_id()
        await store.append(queued(task_id))
        start = report(task_id, 1, EventType.STARTED, worker="one")

        answers = await asyncio.gather(
            store.append([start]), store.append([start]), return_exceptions=True
        )

        assert [type(answer) for answer in answers] == [tuple, IllegalTransition]

    in_store(stores, use)


def test_a_finished_task_stays_as_it_is(stores: Stores) -> None:
    """Also when it is no longer in memory: late reports and repeated submissions are refused."""
    task_id = new_id()

    async def finish(store: Store) -> None:
        await store.append([*queued(task_id), *run(task_id)])

    async def disturb(store: Store) -> None:
        for draft in (submission(task_id), report(task_id, 9, EventType.FAILED)):
            with pytest.raises(IllegalTransition, match=task_id):
                await store.append([draft])

    in_store(stores, finish)
    in_store(stores, disturb)


def test_events_that_are_not_durable_are_refused(stores: Stores) -> None:
    """Outputs lie in the notebook; a journal full of them would be a programming error."""

    async def use(store: Store) -> None:
        with pytest.raises(ValueError, match=r"cell\.output"):
            await store.append([report(new_id(), 0, EventType.CELL_OUTPUT)])

    in_store(stores, use)


def test_data_that_is_not_json_is_mended_or_refused(stores: Stores) -> None:
    """NaN and broken text come from users' notebooks and must neither stop nor poison the store."""
    task_id = new_id()

    async def write(store: Store) -> None:
        await store.append([*queued(task_id), *run(task_id)[:2]])
        value = {"mean": float("nan"), "text": "a\ud800\0b", "list": [float("inf"), 1]}
        await store.append([report(task_id, 3, EventType.STEP_OUTPUT, name="odd", value=value)])
        with pytest.raises(TypeError):
            await store.append([report(task_id, 4, EventType.STEP_LOG, text=object())])

    async def read(store: Store) -> None:
        task = await store.task(task_id)
        assert task is not None
        assert task.outputs == {"odd": {"mean": None, "text": "a?\0b", "list": [None, 1]}}
        assert (await store.sql("select count(*) from events")).rows == ((5,),)

    in_store(stores, write)
    in_store(stores, read)


def test_all_is_as_before_after_a_restart(stores: Stores) -> None:
    """Closing and opening must be invisible to whoever asks."""
    live, ended = new_id(), new_id()
    before: dict[str, Any] = {}

    async def look(store: Store) -> dict[str, Any]:
        return {
            "live": await store.task(live),
            "ended": await store.task(ended),
            "unfinished": await store.unfinished(),
            "events": await store.events(),
            "page": await store.tasks(TaskQuery()),
            "seq": await store.last_seq(),
        }

    async def fill(store: Store) -> None:
        await store.append([*queued(live), *run(live)[:3]])
        failure = {"name": "ValueError", "message": "no", "traceback": ["a", "b"], "cell_index": 2}
        await store.append([*queued(ended), *run(ended, EventType.FAILED, error=failure)])
        before.update(await look(store))

    async def compare(store: Store) -> None:
        assert await look(store) == before
        await store.append(run(live)[3:])
        task = await store.task(live)
        assert task is not None
        assert task.state is State.SUCCESS

    in_store(stores, fill)
    in_store(stores, compare)


def test_the_history_of_every_transition_is_kept(stores: Stores) -> None:
    """Audits replay it: the events of a task alone must add up to the task."""
    ids: list[str] = []

    async def fill(store: Store) -> None:
        for outcome in (EventType.SUCCEEDED, EventType.FAILED, EventType.CRASHED):
            ids.append(new_id())
            await store.append([*queued(ids[-1]), *run(ids[-1], outcome)])
        ids.append(new_id())
        await store.append([*queued(ids[-1]), Draft(task_id=ids[-1], type=EventType.WITHDRAWN)])

    async def compare(store: Store) -> None:
        for task_id in ids:
            task: Task | None = None
            for event in await store.events(task_id=task_id):
                task = advance(task, event)
            assert task == await store.task(task_id)

    in_store(stores, fill)
    in_store(stores, compare)


def test_a_pruned_task_stays_and_is_listed_once(stores: Stores) -> None:
    """Its files are gone; what it came to is still to be found, at once and after a restart."""

    async def prune(store: Store) -> None:
        old, fresh = life(), life()
        await store.append(old)
        await until_written(store)
        await store.append([*fresh, pruned(fresh[0].task_id)])
        await store.append([pruned(old[0].task_id)])
        await look(store)
        await until_written(store)
        await look(store)

    async def look(store: Store) -> None:
        tasks = await pages(store, TaskQuery(limit=1))
        assert len(tasks) == len({task.id for task in tasks}) == 2
        for task in tasks:
            assert task == await store.task(task.id)
            assert (task.state, task.outputs) == (State.SUCCESS, {"rows": 42})
            assert task.pruned_at is not None
            with pytest.raises(IllegalTransition, match="pruned before"):
                await store.append([pruned(task.id)])
        assert (await store.tasks(TaskQuery(pruned=False))).tasks == ()
        assert len((await store.tasks(TaskQuery(pruned=True))).tasks) == 2
        counted = await store.sql(
            "select count(*), count(pruned_at), count(distinct id) from tasks"
        )
        assert counted.rows == ((2, 2, 2),)

    in_store(stores, prune)
    in_store(stores, look)


def test_only_a_finished_task_can_be_pruned(stores: Stores) -> None:
    """Its worker may be writing into the directory."""

    async def use(store: Store) -> None:
        task_id = new_id()
        await store.append(queued(task_id))

        with pytest.raises(IllegalTransition):
            await store.append([pruned(task_id)])
        with pytest.raises(IllegalTransition):
            await store.append([pruned(new_id())])

    in_store(stores, use)


def test_a_store_tells_how_it_is(stores: Stores) -> None:
    """Health and doctor ask."""

    async def use(store: Store) -> None:
        await store.append(life())
        await until_written(store)

        status = store.status()

        assert (store.problem, status.problem) == (None, None)
        assert (status.last_seq, status.waiting_events) == (8, 0)
        assert status.database_bytes > 0
        assert status.written_at is not None

    in_store(stores, use)


async def until_written(store: Store) -> None:
    """Wait until the history has everything."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while store.status().waiting_events:  # noqa: ASYNC110 (a store promises no event)
            await asyncio.sleep(0.01)


def test_a_listener_resumes_where_it_stopped(stores: Stores) -> None:
    """Events come in order, each once, in pieces of any size, from wherever they lie."""

    async def fill(store: Store) -> None:
        await store.append(life())

    async def use(store: Store) -> None:
        await store.append(life())
        heard: list[Event] = []
        while part := await store.events(after=heard[-1].seq if heard else 0, limit=3):
            heard += part

        assert [event.seq for event in heard] == list(range(1, 17))
        assert await store.events(after=16) == ()
        last = heard[-1].task_id
        assert [event.seq for event in await store.events(after=10, task_id=last)] == [
            *range(11, 17)
        ]

    in_store(stores, fill)
    in_store(stores, use)


def test_a_task_is_found_by_the_end_of_its_id_and_by_its_key(stores: Stores) -> None:
    """People type the end; a repeated submission brings the key. Both also for old tasks."""
    ended, live = new_id(), new_id()

    async def fill(store: Store) -> None:
        await store.append([*queued(ended, idempotency_key="monday"), *run(ended)])

    async def use(store: Store) -> None:
        await store.append(queued(live, idempotency_key="tuesday"))
        for task_id, key in ((ended, "monday"), (live, "tuesday")):
            found = await store.task_by_key(key)
            assert found is not None
            assert found.id == task_id
            assert await store.resolve(short(task_id)) == (task_id,)
            assert await store.resolve(task_id) == (task_id,)
        assert await store.resolve("%") == ()
        assert set(await store.resolve("")) == {ended, live}

    in_store(stores, fill)
    in_store(stores, use)


def test_a_task_that_has_just_been_written_is_found_by_its_key(stores: Stores) -> None:
    """A key that the history lacks is not looked for there: one that has come to it must be known
    at once, or a submission that is repeated runs twice."""

    async def use(store: Store) -> None:
        task_id = new_id()
        await store.append([*queued(task_id, idempotency_key="monday"), *run(task_id)])
        await until_written(store)

        found = await store.task_by_key("monday")

        assert found is not None
        assert found.id == task_id
        assert await store.task_by_key("tuesday") is None

    in_store(stores, use)


def test_32_callers_append_at_once(stores: Stores) -> None:
    """Every worker and cell writes through one store: nothing is lost, doubled or torn apart."""

    async def use(store: Store) -> None:
        async def client() -> None:
            for _ in range(5):
                for draft in life():
                    (event,) = await store.append([draft])
                    assert event.task_id == draft.task_id

        await asyncio.gather(*(client() for _ in range(32)))

        events = await store.events(limit=10_000)
        assert [event.seq for event in events] == list(range(1, 32 * 5 * 8 + 1))
        assert await store.unfinished() == ()
        assert (await store.sql("select count(*), count(distinct id) from tasks")).rows == (
            (160, 160),
        )

    in_store(stores, use)


@pytest.mark.parametrize("sort", [sign + field for field in SORT_FIELDS for sign in ("", "-")])
def test_paging_meets_every_task_once_in_order(stores: Stores, sort: str) -> None:
    """In every order, across old, new and live tasks, with many ties."""
    start = datetime(2026, 1, 1, tzinfo=UTC)

    def at_minute(drafts: Sequence[Draft], minute: int) -> list[Draft]:
        return [replace(draft, at=start + timedelta(minutes=minute)) for draft in drafts]

    async def fill(store: Store) -> None:
        for number in range(120):
            changes = {"name": f"n{number % 7}", "kind": ("notebook", "shell")[number % 2]}
            await store.append(at_minute(life(**changes), number // 3))

    async def use(store: Store) -> None:
        for number in range(120):
            drafts = life(name=f"n{number % 5}é")[: (2, 8)[number % 2]]
            await store.append(at_minute(drafts, number // 3))
        listed = await pages(store, TaskQuery(sort=sort, limit=37))
        field, is_descending = sort.removeprefix("-"), sort.startswith("-")
        every = await pages(store, TaskQuery(limit=1000))
        valued = [task for task in every if getattr(task, field) is not None]
        valued.sort(key=lambda task: (getattr(task, field), task.id), reverse=is_descending)
        others = [task for task in every if getattr(task, field) is None]
        others.sort(key=lambda task: task.id, reverse=is_descending)

        assert len(every) == 240
        assert [task.id for task in listed] == [task.id for task in (*valued, *others)]

    in_store(stores, fill)
    in_store(stores, use)


def test_filters_apply_to_old_and_live_tasks_alike(stores: Stores) -> None:
    """A filter that misses what is in memory, or in the file, lies to the user."""
    parent = new_id()

    async def fill(store: Store) -> None:
        await store.append(life(name="old part", parent_id=parent, step="clean"))
        await store.append(life(name="sales EU", labels={"team": "a", "tier": "1"}))
        await store.append(life(name="stock", kind="shell", labels={"team": "b"}))

    async def use(store: Store) -> None:
        await store.append(queued(new_id(), name="sales US", labels={"team": "a"}))
        await store.append(queued(new_id(), name="new part", parent_id=parent, step="fit[0]"))

        async def names(**query: Any) -> set[str]:
            return {task.name for task in (await store.tasks(TaskQuery(**query))).tasks}

        assert await names(name="sales") == {"sales EU", "sales US"}
        assert await names(kind="shell") == {"stock"}
        assert await names(states=(State.SUCCESS,), name="s") == {"sales EU", "stock"}
        assert await names(states=(State.QUEUED, State.FAILED), name="s") == {"sales US"}
        assert await names(labels={"team": "a"}) == {"sales EU", "sales US"}
        assert await names(labels={"team": "a", "tier": "1"}) == {"sales EU"}
        assert await names(labels={"team": "c"}) == set()
        assert await names(parent=parent) == {"old part", "new part"}
        assert not await names(is_top=True) & {"old part", "new part"}
        assert await names(is_top=True, name="s") == await names(name="s")

    in_store(stores, fill)
    in_store(stores, use)


@pytest.mark.parametrize(
    "query",
    [
        TaskQuery(sort="password"),
        TaskQuery(sort="--name"),
        TaskQuery(cursor="nonsense"),
        TaskQuery(cursor="WzFd"),
        TaskQuery(cursor="WyItY3JlYXRlZF9hdCIsMSwibm90IGEgdGltZSIsIngiXQ=="),
    ],
    ids=["field", "sign", "noise", "foreign", "broken"],
)
def test_a_listing_that_makes_no_sense_is_refused(stores: Stores, query: TaskQuery) -> None:
    """With a sentence, not an error of the database."""

    async def use(store: Store) -> None:
        with pytest.raises(InvalidRequest):
            await store.tasks(query)

    in_store(stores, use)


def test_a_cursor_of_another_order_is_refused(stores: Stores) -> None:
    """It would skip or repeat tasks without anybody noticing."""

    async def use(store: Store) -> None:
        await store.append([*life(), *life()])
        page = await store.tasks(TaskQuery(limit=1, sort="name"))

        with pytest.raises(InvalidRequest, match="begin without a cursor"):
            await store.tasks(TaskQuery(limit=1, sort="-name", cursor=page.next_cursor))

    in_store(stores, use)


def test_sql_sees_everything_at_once(stores: Stores) -> None:
    """Old, just ended and live tasks, their cells and events: no flush to wait for."""

    async def fill(store: Store) -> None:
        await store.append(life(labels={"team": "a"}))

    async def use(store: Store) -> None:
        await store.append(life())
        await store.append(queued(new_id()))

        table = await store.sql("select state, count(*) as n from tasks group by all order by all")
        cells = await store.sql("select index, state from cells order by all")
        events = await store.sql("select min(seq), max(seq), count(*) from events")
        teams = await store.sql("select labels->>'team' as team from tasks where team is not null")

        assert [column.name for column in table.columns] == ["state", "n"]
        assert table.rows == (("queued", 1), ("success", 2))
        assert cells.rows == ((0, "success"), (0, "success"), (2, "not_run"), (2, "not_run"))
        assert events.rows == ((1, 18, 18),)
        assert teams.rows == (("a",),)

    in_store(stores, fill)
    in_store(stores, use)


@pytest.mark.parametrize(
    "query",
    [
        'select count(*) from "Tasks"',
        "select count(*) from query_table('ta' || 'sks')",
        "select count(*) from (show tables) where name = 'tasks'",
        "select count(*) from information_schema.tables where table_name = 'tasks'",
    ],
)
def test_sql_finds_what_it_names_in_whatever_way(stores: Stores, query: str) -> None:
    """Of the views only those are made that a query seems to need."""

    async def use(store: Store) -> None:
        await store.append(life())

        assert (await store.sql(query)).rows == ((1,),)

    in_store(stores, use)


def test_sql_sees_the_same_before_and_after_it_is_written(stores: Stores) -> None:
    """What the database has and what memory has beside it are asked in different ways."""
    views = ("tasks", "cells", "events", "attempts", "records", "questions")

    async def use(store: Store) -> None:
        closed, still_open = question("q1", 2, is_open=False), [question("q2"), question("q2", 2)]
        await store.append([*life(), question("q1"), closed, *still_open])
        before = [await store.sql(f"from {view} order by all") for view in views]
        await until_written(store)
        after = [await store.sql(f"from {view} order by all") for view in views]

        assert before == after
        assert [len(table.rows) for table in before] == [1, 2, 12, 1, 2, 2]
        await store.append([question("q2", 3)])
        versions = await store.sql("select id, version from records order by id")
        assert versions.rows == (("q1", 2), ("q2", 3))

    in_store(stores, use)


def test_sql_hears_of_the_nearest_name(stores: Stores) -> None:
    """A slip of the finger is no reason to open the documentation."""

    async def use(store: Store) -> None:
        with pytest.raises(QueryInvalid, match="attempts"):
            await store.sql("select * from attemps")

    in_store(stores, use)


def test_what_is_being_appended_is_seen_by_who_asks_after_that(stores: Stores) -> None:
    """A tool call is answered before its record is durable, and asked for at once."""

    async def use(store: Store) -> None:
        for number in range(20):
            written = asyncio.ensure_future(store.append([question(new_id())]))
            await asyncio.sleep(0)
            told = await store.events(after=3 * number)
            written_too = asyncio.ensure_future(store.append([question(new_id())]))
            await asyncio.sleep(0)
            listed = await store.records(RecordQuery(subject=Subject.QUESTION))
            and_this = asyncio.ensure_future(store.append([question(new_id())]))
            await asyncio.sleep(0)
            counted = await store.sql("select count(*) from records")
            assert len(told) == 1
            assert len(listed) == 3 * number + 2
            assert counted.rows == ((3 * number + 3,),)
            await asyncio.gather(written, written_too, and_this)

    in_store(stores, use)


def test_queries_at_once_do_not_disturb_each_other(stores: Stores) -> None:
    """Two people ask while tasks come and go; each sees whole tasks, each once."""

    async def use(store: Store) -> None:
        async def write() -> None:
            for _ in range(100):
                await store.append(life())

        async def ask() -> None:
            for _ in range(10):
                query = "select count(*), count(distinct id), sum(seq) filter (true) from tasks"
                ((rows, ids, _),) = (await store.sql(query)).rows
                ((last, count),) = (await store.sql("select max(seq), count(*) from events")).rows
                assert rows == ids
                assert (last or 0) == count == 8 * (count // 8)

        await asyncio.gather(write(), ask(), ask(), ask())

    in_store(stores, use)


def test_sql_gives_json_values(stores: Stores) -> None:
    """The table goes over the wire: every type of the database has a JSON form."""
    query = """
        select timestamptz '2026-01-01 12:00:00+02' as a, timestamp '2026-01-01' as b,
               date '2026-01-01' as c, 1.5::decimal(9, 2) as d, 'nan'::double as e,
               'x'::blob as f, interval 90 second as g, [1, null] as h,
               {'k': timestamptz '2026-01-01 00:00:00+00'} as i, null as j, true as k,
               9007199254740993 as l, map {'m': 1} as m, '{"a":1}'::json as n,
               '018f3e8e-0000-7000-8000-000000000000'::uuid as "o ""o";  -- all of them
    """

    async def use(store: Store) -> None:
        table = await store.sql(query)

        assert table.columns[-1].name == 'o "o'
        assert table.rows == (
            (
                "2026-01-01T10:00:00+00:00",
                "2026-01-01T00:00:00+00:00",
                "2026-01-01",
                1.5,
                None,
                "eA==",
                90.0,
                [1, None],
                {"k": "2026-01-01T00:00:00+00:00"},
                None,
                True,
                "9007199254740993",
                {"m": 1},
                '{"a":1}',
                "018f3e8e-0000-7000-8000-000000000000",
            ),
        )

    in_store(stores, use)


def test_sql_hands_out_a_limited_number_of_rows(stores: Stores) -> None:
    """A careless query must not fill the server's memory; the order asked for is kept."""

    async def use(store: Store) -> None:
        many = await store.sql("select range, now() from range(1000000) order by range desc")
        exact = await store.sql("from range(50)")

        assert many.truncated
        assert [row[0] for row in many.rows] == [999_999 - n for n in range(50)]
        assert not exact.truncated
        assert len(exact.rows) == 50

    in_store(stores, use, sql_max_rows=50)


REFUSED = [
    "",
    "selekt 1",
    "select 1; select 2",
    "select ?",
    "select * from nowhere",
    "insert into events select * from events",
    "insert into finished_tasks from finished_tasks returning id",
    "with x as (insert into opspawn.meta values ('a', 1) returning 1) from x",
    "update meta set value = 0",
    "delete from finished_tasks",
    "drop table finished_tasks",
    "drop view tasks",
    "create table mine (a int)",
    "create temp table mine (a int)",
    "create view mine as select 1",
    "create macro mine() as 1",
    "alter table events add column x int",
    "copy tasks to '/tmp/opspawn-test.csv'",
    "copy (select 1) to '/tmp/opspawn-test.parquet' (format parquet)",
    "export database '/tmp/opspawn-test'",
    "import database '/tmp/opspawn-test'",
    "attach '/tmp/opspawn-test.duckdb' as other",
    "attach ':memory:' as other",
    "detach opspawn",
    "use memory",
    "install httpfs",
    "load httpfs",
    "pragma database_list",
    "pragma enable_profiling",
    "call pragma_database_size()",
    "set threads = 4",
    "set variable x = 1",
    "set enable_external_access = true",
    "reset memory_limit",
    "set timezone = 'Asia/Tokyo'",
    "begin",
    "commit",
    "rollback",
    "checkpoint",
    "vacuum",
    "prepare p as select 1",
    "execute p",
    "select * from read_csv('/etc/passwd')",
    "select * from read_text('/etc/passwd')",
    "select * from read_blob('/etc/passwd')",
    "select * from read_json('/etc/passwd')",
    "select * from read_parquet('/etc/passwd')",
    "select * from '/etc/passwd'",
    "select * from '/etc/passwd.csv'",
    "select * from glob('/etc/*')",
    "select * from sniff_csv('/etc/passwd')",
    "select * from read_csv('https://example.org/a.csv')",
    "select * from 'https://example.org/a.parquet'",
    "select * from 's3://bucket/a.parquet'",
    "select getenv('HOME')",
    "select * from python_variable",
    "select * from REFUSED",
    "select * from query('drop table events')",
    "explain analyze insert into meta values ('a', 1)",
]


@pytest.mark.parametrize("query", REFUSED)
def test_sql_only_reads_the_history(stores: Stores, query: str) -> None:
    """Whoever may ask may not write, reach files or network, or look into the process."""
    python_variable = [{"secret": 1}]

    async def use(store: Store) -> None:
        await store.append(life())

        with pytest.raises(QueryInvalid) as refusal:
            await store.sql(query)

        assert "\n" not in refusal.value.message
        await store.append(life())
        assert (await store.sql("select count(*) from events")).rows == ((16,),)

    in_store(stores, use)
    assert python_variable
    assert not list(Path("/tmp").glob("opspawn-test*"))


@pytest.mark.parametrize(
    "query",
    [
        "select count(*) from range(10000000) a, range(10000000) b where a.range + b.range = 7",
        "with recursive r as (select 1 as i union all select i + 1 from r) select count(*) from r",
        "select now() from range(10000000) a, range(10000000) b where a.range + b.range < 0",
    ],
)
def test_a_runaway_query_is_stopped_while_tasks_go_on(stores: Stores, query: str) -> None:
    """It must not keep a processor busy for ever, nor anybody waiting."""

    async def use(store: Store) -> None:
        asked = asyncio.ensure_future(store.sql(query))
        while not asked.done():
            await store.append(life())
        with pytest.raises(QueryInvalid, match=r"longer than 0\.3 seconds"):
            await asked

        assert (await store.sql("select 1")).rows == ((1,),)

    in_store(stores, use, sql_timeout_seconds=0.3)


def test_a_greedy_query_is_refused(stores: Stores) -> None:
    """Memory that a query wants beyond the limit is refused to it, not taken from the server."""

    async def use(store: Store) -> None:
        with pytest.raises(QueryInvalid):
            await store.sql("select list(range) from range(400000000)")

        await store.append(life())

    in_store(stores, use)


def test_closing_does_not_wait_for_a_long_query(stores: Stores) -> None:
    """Stopping the server must not take as long as the longest query may."""
    query = "select count(*) from range(10000000) a, range(10000000) b where a.range + b.range = 7"

    async def body() -> None:
        async with stores(sql_timeout_seconds=10 * PATIENCE_SECONDS) as store:
            asked = asyncio.ensure_future(store.sql(query))
            while len(await pages(store, TaskQuery(limit=1000))) < 20:
                await store.append(life())
            async with asyncio.timeout(PATIENCE_SECONDS):
                await store.close()
                with pytest.raises(QueryInvalid):
                    await asked

    asyncio.run(body())


def test_a_closed_store_says_so(stores: Stores) -> None:
    """Requests that arrive while the server stops get a sentence; closing twice is harmless."""

    async def body() -> None:
        async with stores() as store:
            await store.append(life())
        with pytest.raises(StoreUnavailable, match="closed"):
            await store.append(life())
        with pytest.raises(StoreUnavailable, match="closed"):
            await store.tasks(TaskQuery())

    asyncio.run(body())


def question(record_id: str, version: int = 1, **changes: Any) -> Draft:
    """A record of the subject that has the fewest rules of its own."""
    types = {1: EventType.QUESTION_ASKED, 2: EventType.QUESTION_ANSWERED}
    task_id = changes.pop("task_id", "")
    given = {"content": {"text": "Go on?", "version": version}, **changes}
    change = Change(id=record_id, version=version, **given)
    return record_draft(types.get(version, EventType.QUESTION_WITHDRAWN), change, task_id)


def test_a_record_changes_version_by_version_and_is_found_after_a_restart(stores: Stores) -> None:
    """An open one comes from memory, a closed one from the history; both are the same to ask."""
    first, second = sorted([new_id(), new_id()])

    async def write(store: Store) -> None:
        await store.append([question(first, key="a"), question(second, key="b")])
        await store.append([question(first, 2, key="a", is_open=False)])

    async def use(store: Store) -> None:
        closed = await store.record(Subject.QUESTION, first)
        still_open = await store.record_by_key(Subject.QUESTION, "b")
        by_key = await store.record_by_key(Subject.QUESTION, "a")
        everything = await store.records(RecordQuery(subject=Subject.QUESTION))
        open_ones = await store.records(RecordQuery(subject=Subject.QUESTION, is_open=True))
        older = await store.records(RecordQuery(subject=Subject.QUESTION, before=second, limit=1))

        assert closed is not None
        assert still_open is not None
        assert (closed.version, closed.is_open, closed.seq) == (2, False, 3)
        assert closed.content == {"text": "Go on?", "version": 2}
        assert closed == by_key
        assert still_open.id == second
        assert everything == (still_open, closed)
        assert open_ones == (still_open,)
        assert older == (closed,)
        assert await store.record(Subject.SCHEDULE, first) is None

    async def write_and_use(store: Store) -> None:
        await write(store)
        await use(store)

    in_store(stores, write_and_use)
    in_store(stores, use)


def test_of_two_changes_at_once_the_second_is_refused(stores: Stores) -> None:
    """Two people answer the same question; only one of them did."""
    record_id = new_id()

    async def use(store: Store) -> None:
        await store.append([question(record_id)])
        answers = [store.append([question(record_id, 2, is_open=False)]) for _ in range(2)]

        outcomes = await asyncio.gather(*answers, return_exceptions=True)

        refused = [one for one in outcomes if isinstance(one, RecordChanged)]
        assert len(refused) == 1
        assert refused[0].detail == {"version": 2, "expected": 1}
        with pytest.raises(RecordChanged):
            await store.append([question(new_id(), 2)])
        assert await store.last_seq() == 2

    in_store(stores, use)


def test_no_two_records_have_the_same_key(stores: Stores) -> None:
    """Also where the other is closed, written out, in the same write, or from before a restart."""
    first = new_id()

    async def write(store: Store) -> None:
        await store.append([question(first, key="daily", is_open=False)])
        with pytest.raises(KeyTaken):
            await store.append([question(new_id(), key="daily")])
        await until_written(store)
        with pytest.raises(KeyTaken):
            await store.append([question(new_id(), key="daily")])
        with pytest.raises(KeyTaken):
            await store.append([question(new_id(), key="both"), question(new_id(), key="both")])

    async def use(store: Store) -> None:
        with pytest.raises(KeyTaken):
            await store.append([question(new_id(), key="daily")])
        await store.append([question(first, 2, key="daily")])
        assert await store.last_seq() == 2

    in_store(stores, write)
    in_store(stores, use)


def test_a_record_keeps_the_keys_that_it_had_before(stores: Stores) -> None:
    """So a schedule is found by its old name, which nobody else can have meanwhile."""
    first = new_id()

    async def write(store: Store) -> None:
        await store.append([question(first, key="old")])
        await store.append([question(first, 2, key="new")])

    async def use(store: Store) -> None:
        for key in ("old", "new"):
            record = await store.record_by_key(Subject.QUESTION, key)
            assert record is not None
            assert (record.id, record.key) == (first, "new")
            with pytest.raises(KeyTaken):
                await store.append([question(new_id(), key=key)])

    async def close(store: Store) -> None:
        await store.append([question(first, 3, key="old", is_open=False)])

    async def look(store: Store) -> None:
        record = await store.record_by_key(Subject.QUESTION, "new")
        assert record is not None
        assert (record.key, record.is_open) == ("old", False)

    in_store(stores, write)
    in_store(stores, use)
    in_store(stores, close)
    in_store(stores, look)


def test_records_are_listed_by_the_beginning_of_their_key_and_from_a_key_on(
    stores: Stores,
) -> None:
    """So the firing that covers a due time is found among any number of them."""

    async def story(store: Store) -> None:
        ids = sorted(new_id() for _ in range(4))
        for record_id, key in zip(ids, ("s:3", "s:1", "s:2", "t:1"), strict=True):
            await store.append([question(record_id, key=key, is_open=False)])
        query = RecordQuery(subject=Subject.QUESTION, key_prefix="s:")
        assert [one.key for one in await store.records(query)] == ["s:2", "s:1", "s:3"]
        first = replace(query, key_from="s:15", limit=1)
        assert [one.key for one in await store.records(first)] == ["s:2"]

    in_store(stores, story)
    in_store(stores, _same_listing)


async def _same_listing(store: Store) -> None:
    query = RecordQuery(subject=Subject.QUESTION, key_prefix="s:", key_from="s:0")
    assert [one.key for one in await store.records(query)] == ["s:1", "s:2", "s:3"]


def test_events_about_records_stand_in_the_history_of_their_task(stores: Stores) -> None:
    """They concern the task and do not move it."""
    task_id, record_id = new_id(), new_id()

    async def use(store: Store) -> None:
        await store.append(queued(task_id))
        await store.append([question(record_id, task_id=task_id)])
        await store.append(run(task_id))
        await store.append([question(record_id, 2, task_id=task_id, is_open=False)])

        task = await store.task(task_id)
        events = await store.events(task_id=task_id)
        of_task = await store.records(RecordQuery(subject=Subject.QUESTION, task_id=task_id))
        of_other = await store.records(RecordQuery(subject=Subject.QUESTION, task_id=new_id()))
        table = await store.sql(
            "SELECT task_id, text, version FROM questions JOIN records USING (id, task_id)"
        )

        assert task is not None
        assert task.state is State.SUCCESS
        asked = [event.type for event in events if event.type.subject]
        assert asked == [EventType.QUESTION_ASKED, EventType.QUESTION_ANSWERED]
        assert [one.id for one in of_task] == [record_id]
        assert of_other == ()
        assert table.rows == ((task_id, "Go on?", 2),)

    in_store(stores, use)
    in_store(stores, lambda store: _has_ended(store, task_id))


async def _has_ended(store: Store, task_id: str) -> None:
    task = await store.task(task_id)
    assert task is not None
    assert task.state is State.SUCCESS
