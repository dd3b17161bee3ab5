"""What must hold in the end, whatever was broken."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path
from typing import Any

import nbformat

from opspawn_jupyter.model import wire
from opspawn_jupyter.model.advance import advance
from opspawn_jupyter.model.event import Event
from opspawn_jupyter.model.task import Task, TaskQuery
from opspawn_jupyter.stores import chain
from opspawn_jupyter.stores.duckdb import DuckDBStore
from tests.chaos import ledger
from tests.chaos.world import World


def check(world: World) -> list[dict[str, Any]]:
    """The tasks, each final; the world is ended. Raises ``AssertionError`` for what is not as it
    must be."""
    tasks = [world.ended(task_id) for task_id in world.tasks]
    for task in tasks:
        world.await_(f"no process of {task['id']}", lambda task=task: not world.of_task(task["id"]))
    world.end()
    for task in tasks:
        directory = world.root / task["run_directory"]
        _ran_once(directory, task)
        says_the_same(directory, task)
    asyncio.run(history_holds(world, tasks))
    ledger.note(world, tasks)
    return tasks


def _ran_once(directory: Path, task: dict[str, Any]) -> None:
    """No kernel ran a cell twice, and there were no more kernels than attempts."""
    path = directory / "artifacts" / "marks"
    marks = Counter(path.read_text().splitlines() if path.exists() else ())
    assert all(count == 1 for count in marks.values()), (task["id"], marks)
    kernels = {mark.split()[1] for mark in marks}
    assert len(kernels) <= task["attempt"], (task["id"], marks)
    if task["state"] == "success":
        last = [cell["index"] for cell in task["cells"]]
        by_kernel = [[int(m.split()[0]) for m in marks if m.split()[1] == k] for k in kernels]
        assert last in by_kernel, (task["id"], marks)


def says_the_same(directory: Path, task: dict[str, Any]) -> None:
    """Executed notebook and summary agree with the server."""
    output, summary = directory / "output.ipynb", directory / "summary.json"
    if task["attempt"]:
        assert json.loads(summary.read_text())["state"] == task["state"], task["id"]
    if not output.exists():
        assert task["state"] != "success", task["id"]
        return
    document = nbformat.read(output, as_version=4)
    nbformat.validate(document)
    cells = [cell for cell in document.cells if cell.cell_type == "code"]
    written = [cell.metadata.opspawn.state for cell in cells]
    told = [cell["state"] for cell in task["cells"]] or ["not_run"] * len(cells)
    assert written == told, (task["id"], task["state"], written, told)


async def history_holds(world: World, tasks: list[dict[str, Any]]) -> None:
    """The events are an unbroken chain, and add up to the tasks; nothing acknowledged is lost."""
    store = await DuckDBStore.open(world.root / ".opspawn")
    try:
        events = await _all_events(store)
        assert [event.seq for event in events] == list(range(1, len(events) + 1))
        assert chain.first_break(events) is None
        replayed: dict[str, Task] = {}
        for event in events:
            replayed[event.task_id] = advance(replayed.get(event.task_id), event)
        for task in tasks:
            found = await store.task(task["id"])
            assert found is not None, f"lost: {task['id']}"
            assert _plain(found) == _plain(replayed[task["id"]])
            assert wire.encode(found)["state"] == task["state"]
        page = await store.tasks(TaskQuery(limit=500))
        keys = Counter(one.idempotency_key for one in page.tasks if one.idempotency_key)
        assert all(count == 1 for count in keys.values()), keys
        assert all(one.state.is_final for one in page.tasks)
    finally:
        await store.close()


def _plain(task: Task) -> dict[str, Any]:
    told: dict[str, Any] = wire.encode(task)
    return {name: value for name, value in told.items() if name != "seq"}


async def _all_events(store: DuckDBStore) -> list[Event]:
    events: list[Event] = []
    while more := await store.events(after=events[-1].seq if events else 0, limit=1000):
        events.extend(more)
    return events
