"""What one unit costs where there are few of them, and where there are many."""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from unittest.mock import patch

from benchmarks import notebooks, peers
from benchmarks.measure import Goal, Row, Size, Way
from benchmarks.rows.papermill import own_settings
from benchmarks.rows.store import drafts
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
    few, many = 2, size.of(100, 6)
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
    counts = {_FEW: 1_000, _MANY: size.of(100_000, 2_000)}
    with ExitStack() as stack:
        runner = stack.enter_context(asyncio.Runner())
        ways: dict[str, Way] = {}
        for name, count in counts.items():
            place = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            store = runner.run(DuckDBStore.open(place / "store"))
            stack.callback(_close, runner, store)
            runner.run(_fill(store, count))
            ways[name] = _page(runner, store)
        yield ways


def _close(runner: asyncio.Runner, store: DuckDBStore) -> None:
    runner.run(store.close())


async def _fill(store: DuckDBStore, count: int) -> None:
    for _ in range(count // 250):
        await asyncio.gather(*(store.append(drafts()) for _ in range(250)))
    while store.status().waiting_events:  # noqa: ASYNC110  nothing tells that
        await asyncio.sleep(0.2)


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
    _row("growth-outputs", "a megabyte of 2 MB of outputs, and of 100 MB", _outputs, 3),
    _row("growth-history", "a page of a history of 1,000 tasks, and of 100,000", _history, 9),
)
