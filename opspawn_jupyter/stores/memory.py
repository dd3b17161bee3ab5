"""The live truth: unfinished tasks, and what has not been written to the database yet."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from threading import Lock

from opspawn_jupyter.model.advance import advance
from opspawn_jupyter.model.event import Draft, Event
from opspawn_jupyter.model.states import EventType
from opspawn_jupyter.model.task import Task
from opspawn_jupyter.stores import chain


@dataclass(frozen=True, kw_only=True)
class Held:
    """What memory held at one moment."""

    tasks: tuple[Task, ...]
    events: tuple[Event, ...]

    @property
    def finished(self) -> tuple[Task, ...]:
        """Tasks that have ended and are not in the database as they are."""
        return tuple(task for task in self.tasks if task.state.is_final)

    @property
    def rewritten(self) -> tuple[str, ...]:
        """Ids of tasks that the database may have as they were before."""
        return tuple(task.id for task in self.tasks if task.pruned_at is not None)


class Memory:
    """Tasks by id, and the events that the database lacks. Safe to use from several threads."""

    def __init__(self, seq: int, digest: str) -> None:
        self._lock = Lock()
        self._tasks: dict[str, Task] = {}
        self._ids_by_key: dict[str, str] = {}
        self._events: list[Event] = []
        #: The end of the chain.
        self.seq = seq
        self.hash = digest

    def task(self, task_id: str) -> Task | None:
        """The task, if it is unfinished or not yet in the database."""
        return self._tasks.get(task_id)

    def task_by_key(self, idempotency_key: str) -> Task | None:
        """Likewise, by the key that it was submitted with."""
        with self._lock:
            return self._tasks.get(self._ids_by_key.get(idempotency_key, ""))

    def held(self) -> Held:
        """Everything, as it is at this moment."""
        with self._lock:
            return Held(tasks=tuple(self._tasks.values()), events=tuple(self._events))

    @property
    def event_count(self) -> int:
        """How many events the database lacks."""
        return len(self._events)

    @property
    def floor(self) -> int:
        """Seq of the last event that only the database has."""
        with self._lock:
            return self._events[0].seq - 1 if self._events else self.seq

    def load(
        self,
        stored: Iterable[Event],
        fresh: Iterable[Event],
        find_finished: Callable[[str], Task | None],
    ) -> None:
        """Replay the events of unfinished tasks that the database has, then all that it lacks."""
        for event in stored:
            self._replay(event, self._tasks.get(event.task_id))
        for event in fresh:
            task = self._tasks.get(event.task_id)
            if task is None and event.type is not EventType.SUBMITTED:
                task = find_finished(event.task_id)
            self._replay(event, task)
            self._events.append(event)
            self.seq, self.hash = event.seq, event.hash

    def apply(self, stage: Stage) -> None:
        """Take in a stage that has become durable."""
        with self._lock:
            self._keep(stage.tasks.values())
            self._events.extend(stage.events)
            self.seq, self.hash = stage.seq, stage.hash

    def forget(self, applied: int) -> None:
        """Let go of what the database has: events up to ``applied``, and tasks they ended."""
        with self._lock:
            self._events = [event for event in self._events if event.seq > applied]
            for task in [*self._tasks.values()]:
                if task.state.is_final and task.seq <= applied:
                    del self._tasks[task.id]
                    self._ids_by_key.pop(task.idempotency_key or "", None)

    def _replay(self, event: Event, task: Task | None) -> None:
        self._keep([replace(advance(task, event), seq=event.seq)])

    def _keep(self, tasks: Iterable[Task]) -> None:
        for task in tasks:
            self._tasks[task.id] = task
            if task.idempotency_key is not None:
                self._ids_by_key[task.idempotency_key] = task.id


class Stage:
    """What a batch would make of memory, which stays as it is until the batch is durable.

    ``find_finished`` looks a task up in the database.
    """

    def __init__(self, memory: Memory, find_finished: Callable[[str], Task | None]) -> None:
        self._memory = memory
        self._find_finished = find_finished
        self.seq = memory.seq
        self.hash = memory.hash
        self.tasks: dict[str, Task] = {}
        self.events: list[Event] = []
        #: The events' JSON, for the journal.
        self.bodies: list[bytes] = []

    def add(self, drafts: Sequence[Draft]) -> tuple[Event, ...]:
        """The drafts as events, all of them, or an exception and the stage as it was.

        Raises ``IllegalTransition`` where a task's state forbids one.
        """
        tasks: dict[str, Task] = {}
        events: list[Event] = []
        bodies: list[bytes] = []
        seq, digest = self.seq, self.hash
        for draft in drafts:
            seq += 1
            event, body = chain.link(draft, seq, digest)
            task = advance(tasks.get(event.task_id) or self._task(event.task_id), event)
            tasks[event.task_id] = replace(task, seq=seq)
            events.append(event)
            bodies.append(body)
            digest = event.hash
        self._take(tasks, events, bodies)
        return tuple(events)

    def _take(self, tasks: dict[str, Task], events: list[Event], bodies: list[bytes]) -> None:
        if not events:
            return
        self.tasks.update(tasks)
        self.events += events
        self.bodies += bodies
        self.seq, self.hash = events[-1].seq, events[-1].hash

    def _task(self, task_id: str) -> Task | None:
        return self.tasks.get(task_id) or self._memory.task(task_id) or self._find_finished(task_id)
