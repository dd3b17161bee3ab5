"""Ten thousand tasks at once: how quickly they are accepted, listed and handed out.

    python benchmarks/backpressure.py [TASKS]

Everything is real save the worker, which takes tasks and reports success without running them:
the notebook kind with its checks and pinned files, the store with its journal and database, the
queue.
"""

from __future__ import annotations

import asyncio
import logging
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import nbformat
import psutil
from jupyter_client.kernelspec import KernelSpecManager

from opspawn_jupyter.buses.fanout import FanoutBus
from opspawn_jupyter.buses.websocket import WebsocketBus
from opspawn_jupyter.kinds.notebook import NotebookKind
from opspawn_jupyter.model.clock import now
from opspawn_jupyter.model.policy import Policy
from opspawn_jupyter.model.states import EventType, State
from opspawn_jupyter.model.task import Submission, TaskQuery
from opspawn_jupyter.model.work import Report, ReportedEvent, ReportRequest, TakeRequest
from opspawn_jupyter.orchestrator.context import Orchestration
from opspawn_jupyter.orchestrator.report import report
from opspawn_jupyter.orchestrator.submit import submit
from opspawn_jupyter.orchestrator.take import take
from opspawn_jupyter.queues.limits import Limits
from opspawn_jupyter.queues.local import LocalQueue
from opspawn_jupyter.settings import Settings
from opspawn_jupyter.stores.duckdb import DuckDBStore

CALLERS = 32
SLOTS = 8
MIB = 1 << 20


async def measure(root: Path, count: int) -> None:
    """Submit, list, run; print a figure for each."""
    write_notebook(root)
    settings = Settings(
        root_directory=root, state_directory=root / ".opspawn", runs_directory=root / "runs"
    )
    o = Orchestration(
        store=await DuckDBStore.open(settings.state_directory),
        queue=LocalQueue(Limits(total=SLOTS)),
        bus=FanoutBus(WebsocketBus()),
        kinds={"notebook": NotebookKind(settings, KernelSpecManager().get_all_specs)},
        settings=settings,
    )
    before = memory_bytes()
    await submit_all(o, count)
    say("memory per waiting task", (memory_bytes() - before) / count / 1024, "KiB")
    await list_some(o)
    await run_all(o, count)
    say("memory at the end, above the start", (memory_bytes() - before) / MIB, "MiB")
    await o.store.close()


async def submit_all(o: Orchestration, count: int) -> None:
    """As many callers at once as a busy server has."""
    left = iter(range(count))
    took: list[float] = []

    async def caller() -> None:
        for number in left:
            policy = Policy(priority=random.randint(-2, 2))
            spec = {"notebook": "report.ipynb", "parameters": {"year": number}}
            began = time.perf_counter()
            await submit(o, Submission(spec=spec, policy=policy), "ada")
            took.append(time.perf_counter() - began)

    longest_pause = asyncio.create_task(watch_loop())
    began = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    say("accepted", count / (time.perf_counter() - began), "tasks/s")
    say("accepting one, median", statistics.median(took) * 1000, "ms")
    say("accepting one, slowest of 1000", statistics.quantiles(took, n=1000)[-1] * 1000, "ms")
    longest_pause.cancel()
    say("longest pause of the event loop", (await longest_pause) * 1000, "ms")


async def list_some(o: Orchestration) -> None:
    """While all of them wait."""
    queries = {
        "list the newest 50": TaskQuery(),
        "list 50 by name and state": TaskQuery(states=(State.QUEUED,), sort="name"),
        "list 50 of one label": TaskQuery(labels={"team": "none"}),
    }
    for name, query in queries.items():
        say(name, await typical(lambda query=query: o.store.tasks(query)) * 1000, "ms")
    sql = "SELECT state, count(*) FROM tasks GROUP BY 1"
    say("count by SQL", await typical(lambda: o.store.sql(sql)) * 1000, "ms")


async def run_all(o: Orchestration, count: int) -> None:
    """A worker takes and ends all of them, highest priority first."""
    order: list[int] = []
    began = time.perf_counter()
    while len(order) < count:
        answer = await take(o, "w", TakeRequest(free_slots=SLOTS, wait_seconds=5))
        order += [one.policy.priority for one in answer.assignments]
        reports = tuple(
            Report(task_id=one.task_id, attempt=1, events=(*whole_life(),))
            for one in answer.assignments
        )
        await report(o, "w", ReportRequest(reports=reports))
    say("handed out and ended", count / (time.perf_counter() - began), "tasks/s")
    if order != sorted(order, reverse=True):
        sys.exit("out of order")


def whole_life() -> list[ReportedEvent]:
    """What a run of one cell reports."""
    cell = {"index": 0, "state": "success", "duration_seconds": 0.1, "execution_count": 1}
    told = [
        (EventType.STARTED, {"worker": "w"}),
        (EventType.CELLS_PLANNED, {"cells": [{"index": 0, "title": "1"}]}),
        (EventType.CELL_STARTED, {"index": 0}),
        (EventType.CELL_FINISHED, cell),
        (EventType.SUCCEEDED, {}),
    ]
    return [
        ReportedEvent(type=type, at=now(), data=data, number=number)
        for number, (type, data) in enumerate(told, start=1)
    ]


async def typical(ask: Callable[[], Awaitable[object]]) -> float:
    """Median time of ten."""
    times = []
    for _ in range(10):
        began = time.perf_counter()
        await ask()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


async def watch_loop() -> float:
    """The longest time for which the event loop served nobody, in seconds."""
    longest = 0.0
    try:
        while True:
            began = time.perf_counter()
            await asyncio.sleep(0.005)
            longest = max(longest, time.perf_counter() - began - 0.005)
    except asyncio.CancelledError:
        return longest


def memory_bytes() -> int:
    """Resident size of this process."""
    return int(psutil.Process().memory_info().rss)


def write_notebook(root: Path) -> None:
    """A notebook with a parameter."""
    cell = nbformat.v4.new_code_cell("year: int = 2026", metadata={"tags": ["parameters"]})
    notebook = nbformat.v4.new_notebook(cells=[cell, nbformat.v4.new_code_cell("year + 1")])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    nbformat.write(notebook, root / "report.ipynb")


def say(what: str, figure: float, unit: str) -> None:
    """A line of the report."""
    print(f"{what:<40}{figure:>10.1f} {unit}")


if __name__ == "__main__":
    logging.disable()
    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(measure(Path(directory), int(sys.argv[1]) if sys.argv[1:] else 10_000))
