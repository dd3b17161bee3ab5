"""What one unit costs where there are few of them, and where there are many."""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from unittest.mock import patch

import psutil

from benchmarks import notebooks, peers, servers
from benchmarks.measure import Goal, Row, Size, Way
from benchmarks.rows.papermill import own_settings
from benchmarks.rows.server import await_running
from benchmarks.rows.store import drafts, fill
from opspawn_jupyter.model.task import TaskQuery
from opspawn_jupyter.stores.duckdb import DuckDBStore

_FEW, _MANY = "few", "many"


@contextmanager
def _cells(size: Size) -> Iterator[Mapping[str, Way]]:
    few, many = 10, size.of(2_000, 40)
    with _per_unit({_FEW: (notebooks.cells(few), few), _MANY: (notebooks.cells(many), many)}) as w:
        yield w


@contextmanager
def _outputs(size: Size) -> Iterator[Mapping[str, Way]]:
    """Megabytes, half of one a cell."""
    few, many = 2, size.of(200, 6)
    cell = notebooks.OUTPUTS[1]
    with _per_unit({_FEW: ([cell] * 2 * few, few), _MANY: ([cell] * 2 * many, many)}) as ways:
        yield ways


@contextmanager
def _per_unit(sizes: Mapping[str, tuple[Sequence[str], int]]) -> Iterator[Mapping[str, Way]]:
    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="opspawn-bench-")))
        ways: dict[str, Way] = {}
        with patch.dict(os.environ, own_settings(place)):
            for name, (sources, units) in sizes.items():
                source = str(notebooks.write(place, name, sources))
                helper = peers.helper(peers.OWN, "notebook.py", "opspawn", source, "seconds")
                ways[name] = _divided(stack.enter_context(helper), units)
        for way in ways.values():
            way()
        yield ways


def _divided(way: Way, units: int) -> Way:
    return lambda: way() / units


@contextmanager
def _history(size: Size) -> Iterator[Mapping[str, Way]]:
    """Seconds until a page of the newest 50 tasks is there."""
    counts = {_FEW: 1_000, "100,000": size.of(100_000, 2_000), _MANY: size.of(1_000_000, 4_000)}
    with ExitStack() as stack:
        runner = stack.enter_context(asyncio.Runner())
        ways: dict[str, Way] = {}
        for name, count in counts.items():
            place = Path(stack.enter_context(tempfile.TemporaryDirectory()), "store")
            fill(runner, place, drafts(), _COPIES, count)
            store = runner.run(DuckDBStore.open(place))
            stack.callback(_close, runner, store)
            ways[name] = _page(runner, store)
        yield ways


def _close(runner: asyncio.Runner, store: DuckDBStore) -> None:
    runner.run(store.close())


#: A task of the history again and again, a second apart.
_COPIES = """
INSERT INTO finished_tasks
SELECT * EXCLUDE (n) REPLACE (
    lpad(hex(n), 36, '0') AS id,
    created_at + INTERVAL (n) SECOND AS created_at,
    finished_at + INTERVAL (n) SECOND AS finished_at
)
FROM (FROM finished_tasks LIMIT 1), range(1, $count) AS numbers (n)
"""


@contextmanager
def _running(size: Size) -> Iterator[Mapping[str, Way]]:
    """Seconds for each task, from the submission of all until all run."""
    with _at_once(size, lambda _own, seconds, _count: seconds) as ways:
        yield ways


@contextmanager
def _running_memory(size: Size) -> Iterator[Mapping[str, Way]]:
    """Megabytes of all processes but the server's, each shared page counted in parts."""
    with _at_once(size, lambda own, _seconds, _count: _megabytes(own)) as ways:
        yield ways


@contextmanager
def _at_once(
    size: Size, figure: Callable[[servers.Ours, float, int], float]
) -> Iterator[Mapping[str, Way]]:
    few, many = 4, size.of(200, 6)
    with servers.ours(f"--OpspawnExtension.max_running_tasks={many}") as own:
        notebooks.write(own.root, "wait", ("import time", "time.sleep(3600)"))
        notebooks.write(own.root, "three", notebooks.THREE)
        own.submit_and_wait(["three.ipynb"])

        def measured(count: int) -> float:
            began = time.perf_counter()
            tasks = [own.run(own.submit("wait.ipynb", {})) for _ in range(count)]
            await_running(own, [task.id for task in tasks])
            found = figure(own, time.perf_counter() - began, count) / count
            for task in tasks:
                own.run(own.client.cancel(task.id))
            for task in tasks:
                own.run(own.client.wait(task.id, 300))
            return found

        yield {_FEW: lambda: measured(few), _MANY: lambda: measured(many)}


def _megabytes(own: servers.Ours) -> float:
    total = 0
    for process in psutil.Process(own.process.process.pid).children(recursive=True):
        with suppress(psutil.Error):
            total += process.memory_full_info().pss
    return total / 1e6


def _page(runner: asyncio.Runner, store: DuckDBStore) -> Way:
    async def ask() -> float:
        began = time.perf_counter()
        await store.tasks(TaskQuery())
        return time.perf_counter() - began

    return lambda: float(runner.run(ask()))


def _row(name: str, what: str, ways: object, rounds: int) -> Row:
    goals = (Goal(ours=_MANY, other=_FEW, at_most=1.5),)
    return Row(name=name, what=what, unit="s", ways=ways, goals=goals, rounds=rounds)  # type: ignore[arg-type]  # any of the three


ROWS = (
    _row("growth-cells", "a cell of a notebook of 10, and of 2,000", _cells, 3),
    _row("growth-outputs", "a megabyte of 2 MB of outputs, and of 200 MB", _outputs, 3),
    _row("growth-history", "a page of a history of 1,000 tasks, and of a million", _history, 9),
    _row("growth-running", "a task of 4 that come to run at once, and of 200", _running, 1),
    Row(
        name="growth-memory",
        what="memory of a task of 4 that run at once, and of 200",
        unit="MB",
        ways=_running_memory,
        goals=(Goal(ours=_MANY, other=_FEW, at_most=1.5),),
        rounds=1,
    ),
)
