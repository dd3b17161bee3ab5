"""A world for scenarios: the verbs over the real store and queue, and what a worker says."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from opspawn_jupyter import errors
from opspawn_jupyter.model import clock
from opspawn_jupyter.model.event import Event
from opspawn_jupyter.model.states import EventType
from opspawn_jupyter.model.task import Submission, Task
from opspawn_jupyter.model.work import Report, ReportedEvent, ReportRequest, TakeRequest
from opspawn_jupyter.orchestrator.context import Orchestration
from opspawn_jupyter.orchestrator.find import find
from opspawn_jupyter.orchestrator.report import report
from opspawn_jupyter.orchestrator.submit import submit
from opspawn_jupyter.orchestrator.take import take
from opspawn_jupyter.ports import Prepared
from opspawn_jupyter.queues.local import LocalQueue
from opspawn_jupyter.settings import Settings
from opspawn_jupyter.stores.duckdb import DuckDBStore

Scenario = Callable[[Orchestration], Awaitable[None]]


class NoteKind:
    """A kind that takes any text and pins it."""

    def prepare(self, spec: Mapping[str, Any]) -> Prepared:
        if "text" not in spec:
            raise errors.InvalidRequest(hint="a note needs a text")
        return Prepared(name="note", spec=dict(spec), files={"note.txt": spec["text"].encode()})


class RecordingBus:
    """Keeps what it was told."""

    def __init__(self) -> None:
        self.told: list[Event] = []

    def tell(self, events: Sequence[Event]) -> None:
        self.told.extend(events)


@asynccontextmanager
async def orchestration(root: Path, **settings: Any) -> AsyncIterator[Orchestration]:
    """The verbs' world over what the last one left in this directory."""
    state = root / ".opspawn"
    store = await DuckDBStore.open(state, sql_timeout_seconds=5, sql_max_rows=100)
    try:
        yield Orchestration(
            store=store,
            queue=LocalQueue(),
            bus=RecordingBus(),
            kinds={"note": NoteKind()},
            settings=Settings(
                root_directory=root,
                state_directory=state,
                runs_directory=root / "runs",
                **settings,
            ),
        )
    finally:
        await store.close()


def note(text: str = "hello", **given: Any) -> Submission:
    return Submission(kind="note", spec={"text": text}, **given)


def reported(type: EventType, number: int = 0, **data: Any) -> ReportedEvent:
    return ReportedEvent(type=type, at=clock.now(), data=data, number=number)


def of(task: Task, *events: ReportedEvent, attempt: int = 1) -> ReportRequest:
    return ReportRequest(reports=(Report(task_id=task.id, attempt=attempt, events=events),))


STARTED = reported(EventType.STARTED, 1, worker="w")
PLANNED = reported(EventType.CELLS_PLANNED, 2, cells=[{"index": 0}])
CELL = reported(EventType.CELL_STARTED, 3, index=0)
SUCCEEDED = reported(EventType.SUCCEEDED, 4)


async def started(o: Orchestration) -> Task:
    task, _ = await submit(o, note(), "ada")
    await take(o, "w", TakeRequest(free_slots=1, wait_seconds=0))
    await report(o, "w", of(task, STARTED, PLANNED, CELL))
    return await find(o, task.id)
