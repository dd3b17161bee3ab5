"""A world for workflows: the real verbs, store, queue and drivers; only the worker is played."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from opspawn_jupyter import errors
from opspawn_jupyter.buses.fanout import FanoutBus
from opspawn_jupyter.kinds.approval import ApprovalKind
from opspawn_jupyter.kinds.workflow import WorkflowKind
from opspawn_jupyter.model.event import Event
from opspawn_jupyter.model.policy import Policy
from opspawn_jupyter.model.states import OUTCOME_EVENTS, EventType, State
from opspawn_jupyter.model.task import Submission, Task, TaskQuery
from opspawn_jupyter.model.work import Assignment, Report, ReportRequest, TakeRequest
from opspawn_jupyter.orchestrator import rescue
from opspawn_jupyter.orchestrator.context import Orchestration
from opspawn_jupyter.orchestrator.report import report
from opspawn_jupyter.orchestrator.submit import submit
from opspawn_jupyter.orchestrator.take import take
from opspawn_jupyter.orchestrator.wake import keep_waking
from opspawn_jupyter.ports import Kind, Prepared
from opspawn_jupyter.queues.limits import Limits
from opspawn_jupyter.queues.local import LocalQueue
from opspawn_jupyter.server.background import Background
from opspawn_jupyter.server.workflows import Workflows
from opspawn_jupyter.settings import Settings
from opspawn_jupyter.stores.duckdb import DuckDBStore
from tests.unit.orchestrator.stage import reported

T = TypeVar("T")

#: Nothing is retried, and nothing limited.
STRAIGHT = Policy()


class WorkKind:
    """A step that gives what its config says: ``give`` by name; ``fail`` makes it fail, ``end`` end
    otherwise, ``good_from`` only before that attempt. ``hold`` keeps it until it is released."""

    FIELDS = frozenset({"give", "fail", "end", "good_from", "hold", "path", "kernel"})

    def prepare(self, spec: Mapping[str, Any]) -> Prepared:
        unknown = sorted(spec.keys() - self.FIELDS)
        if unknown:
            fields = {name: f"there is no field {name!r}" for name in unknown}
            raise errors.InvalidRequest(hint=fields[unknown[0]], detail={"fields": fields})
        return Prepared(name="work", spec=dict(spec), files={})

    def outputs(self, spec: Mapping[str, Any]) -> frozenset[str] | None:
        given = spec.get("give")
        return frozenset(given) if isinstance(given, Mapping) else None


@dataclass
class World:
    """One server's life over a directory."""

    o: Orchestration
    workflows: Workflows
    #: Steps that were really run, by name.
    ran: Counter[str]
    most_at_once: int = 0
    #: The worker takes nothing more: a cancellation may be lost while it waits in the queue.
    is_over: bool = False
    running: set[str] = field(default_factory=set)
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    released: asyncio.Event = field(default_factory=asyncio.Event)

    async def submit(
        self, graph: Mapping[str, Any] | str, policy: Policy = STRAIGHT, **spec: Any
    ) -> Task:
        """A workflow, taken in."""
        key = "source" if isinstance(graph, str) else "graph"
        submission = Submission(kind="workflow", spec={key: graph, **spec}, policy=policy)
        return (await submit(self.o, submission, "ada"))[0]

    async def submit_file(self, path: str) -> Task:
        """A workflow of a file, taken in."""
        submission = Submission(kind="workflow", spec={"path": path})
        return (await submit(self.o, submission, "ada"))[0]

    async def run(self, graph: Mapping[str, Any] | str, **spec: Any) -> Task:
        """A workflow, from its start to its end."""
        return await self.end((await self.submit(graph, **spec)).id)

    async def end(self, task_id: str) -> Task:
        """The task, once it has ended."""

        async def look() -> Task | None:
            task = await self.o.store.task(task_id)
            return task if task is not None and task.state.is_final else None

        ended = await self.until(look)
        assert ended is not None
        return ended

    def tell(self, _events: Sequence[Event]) -> None:
        """As a bus: something has happened."""
        self._news.set()

    async def until(self, look: Callable[[], Awaitable[T]]) -> T:
        """What the look gives, once that is something; it is repeated whenever something
        happens."""
        while not (found := await look()):
            await self._news.wait()
            self._news.clear()
        return found

    async def children(self, task: Task) -> dict[str, Task]:
        """The tasks of its steps, by name."""
        page = await self.o.store.tasks(TaskQuery(parent=task.id, limit=500))
        return {child.step or "": child for child in page.tasks}

    async def states(self, task: Task) -> dict[str, str]:
        """How its steps stand, by name."""
        return {name: child.state.value for name, child in (await self.children(task)).items()}

    async def is_running(self, step: str) -> bool:
        """Whether the step's task is at work."""
        tasks = await self.o.store.unfinished()
        return any(task.step == step and task.state is State.RUNNING for task in tasks)

    async def work(self) -> None:
        """Play the worker, for as long as the world lasts."""
        jobs = Background()
        held: dict[str, int] = {}
        try:
            while not self.is_over:
                request = TakeRequest(free_slots=16 - len(held), held=held, wait_seconds=0.2)
                answer = await take(self.o, "w", request)
                for assignment in answer.assignments:
                    held[assignment.task_id] = assignment.attempt
                    jobs.start(self._job(assignment, held), "job")
                for task_id in answer.cancel:
                    await self._tell(task_id, held.get(task_id, 1), {EventType.CANCELLED: {}}, 90)
                    held.pop(task_id, None)
        finally:
            await jobs.close()

    async def _job(self, assignment: Assignment, held: dict[str, int]) -> None:
        spec, task_id, attempt = assignment.spec, assignment.task_id, assignment.attempt
        self.ran[assignment.name] += 1
        self.running.add(task_id)
        self.most_at_once = max(self.most_at_once, len(self.running))
        await self._tell(task_id, attempt, {EventType.STARTED: {"worker": "w"}}, 1)
        if spec.get("hold"):
            await self.released.wait()
        number = 2
        for name, value in (spec.get("give") or {}).items():
            data = {"name": name, "value": value}
            await self._tell(task_id, attempt, {EventType.STEP_OUTPUT: data}, number)
            number += 1
        self.running.discard(task_id)
        await self._tell(task_id, attempt, _outcome(spec, attempt), number)
        held.pop(task_id, None)

    async def finish(self, task: Task) -> None:
        """Report the end of an attempt that an earlier world began."""
        await self._tell(task.id, task.attempt, {EventType.SUCCEEDED: {}}, task.report_number + 1)

    async def _tell(
        self, task_id: str, attempt: int, events: Mapping[EventType, Any], number: int
    ) -> None:
        told = tuple(reported(type, number, **data) for type, data in events.items())
        one = Report(task_id=task_id, attempt=attempt, events=told)
        await report(self.o, "w", ReportRequest(reports=(one,)))


def _outcome(spec: Mapping[str, Any], attempt: int) -> Mapping[EventType, Any]:
    """How the attempt ends, as its config says."""
    end = spec.get("end") or ("failed" if spec.get("fail") else "success")
    if attempt >= spec.get("good_from", attempt + 1):
        end = "success"
    error = {"error": {"name": "E", "message": "it broke"}}
    return {OUTCOME_EVENTS[State(end)]: {} if end == "success" else error}


class Listeners:
    """A bus for whoever comes later."""

    def __init__(self, listeners: Sequence[World]) -> None:
        self._listeners = listeners

    def tell(self, events: Sequence[Event]) -> None:
        for listener in self._listeners:
            listener.tell(events)


@asynccontextmanager
async def world(root: Path, ran: Counter[str] | None = None) -> AsyncIterator[World]:
    """A server over what the last one left in the directory."""
    state = root / ".opspawn"
    settings = Settings(root_directory=root, state_directory=state, runs_directory=root / "runs")
    store = await DuckDBStore.open(state)
    workflows, background = Workflows(), Background()
    flow = WorkflowKind(settings)
    kinds: dict[str, Kind] = {"work": WorkKind(), "workflow": flow, "approval": ApprovalKind()}
    flow.meet(kinds)
    listeners: list[World] = []
    bus = FanoutBus(workflows, Listeners(listeners))
    o = Orchestration(
        store=store,
        queue=LocalQueue(Limits(total=16)),
        bus=bus,
        kinds=kinds,
        settings=settings,
    )
    one = World(o=o, workflows=workflows, ran=Counter() if ran is None else ran)
    listeners.append(one)
    try:
        await rescue.recover(o, ["w"])
        await workflows.start(o)
        background.start(one.work(), "worker")
        background.start(keep_waking(o), "waker")
        yield one
    finally:
        one.is_over = True
        await workflows.close()
        await background.close()
        await store.close()


def step(id: str, *depends_on: str, **more: Any) -> dict[str, Any]:
    """A step of the kind ``work``."""
    return {"id": id, "plugin": "work", "depends_on": list(depends_on), **more}
