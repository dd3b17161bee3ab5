"""Tasks in order of priority and arrival, for workers that ask this server.

Waiting tasks stand in lanes, one for each kind and concurrency key: whether its first may go says
it for the whole lane, so a limited task never blocks others, however many there are. A lane is a
heap; who leaves a lane otherwise than as its first leaves his ticket in it, to be passed over.

Nothing is kept on disk: the store knows every queued task, and the queue is filled from it at
start. Used from the server's event loop only.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import count

from opspawn_jupyter.model.notebook import is_pooled
from opspawn_jupyter.model.task import Task
from opspawn_jupyter.model.work import POOLED_PER_SLOT
from opspawn_jupyter.queues.limits import Lane, Limits, Places


@dataclass(frozen=True, order=True)
class _Ticket:
    """A task's place in the order: the lower the sooner."""

    rank: int
    arrival: int
    task_id: str = field(compare=False)
    attempt: int = field(compare=False)
    lane: Lane = field(compare=False)


@dataclass(frozen=True)
class _Placed:
    """A task that was handed out."""

    ticket: _Ticket
    worker: str
    has_started: bool = False


class LocalQueue:
    """Highest priority first; first come, first served within one."""

    def __init__(self, limits: Limits | None = None) -> None:
        self._places = Places(limits or Limits())
        self._waiting: dict[str, _Ticket] = {}
        self._placed: dict[str, _Placed] = {}
        self._lanes: dict[Lane, list[_Ticket]] = {}
        self._arrivals = count()
        self._version = 0
        self._change = asyncio.Event()

    async def put(self, task: Task) -> None:
        """Let the task wait, unless it is here already."""
        if task.id in self._waiting or task.id in self._placed:
            return
        lane = Lane(task.kind, task.policy.concurrency_key, is_pooled(task.spec))
        rank, attempt = -task.policy.priority, task.attempt + 1
        self._wait(_Ticket(rank, next(self._arrivals), task.id, attempt, lane))
        self.notify()

    async def take(self, worker: str, free_slots: int, held: Mapping[str, int]) -> tuple[str, ...]:
        """What got lost on the way to this worker before all, then the first of those that may
        go."""
        self._recall(worker, held)
        lost = [
            task_id
            for task_id, placed in self._placed.items()
            if placed.worker == worker
            and not placed.has_started
            and held.get(task_id, 0) < placed.ticket.attempt
        ]
        room = free_slots * POOLED_PER_SLOT
        taken = []
        for task_id in lost:
            if (weight := self._placed[task_id].ticket.lane.weight) > room:
                break
            taken.append(task_id)
            room -= weight
        while room > 0 and (ticket := self._first()):
            if ticket.lane.weight > room:
                break
            self._place(ticket, worker)
            taken.append(ticket.task_id)
            room -= ticket.lane.weight
        return tuple(taken)

    async def started(self, task_id: str) -> None:
        """Keep the task in its place until it is removed."""
        ticket = self._waiting.get(task_id)
        if ticket is not None:
            self._place(ticket, worker="")
        placed = self._placed.get(task_id)
        if placed is not None:
            self._placed[task_id] = replace(placed, has_started=True)

    async def remove(self, task_id: str) -> None:
        """Forget the task; others may have waited for its place."""
        self._waiting.pop(task_id, None)
        placed = self._placed.pop(task_id, None)
        if placed is not None:
            self._places.free(placed.ticket.lane)
            if self._waiting:
                self.notify()

    async def release(self, worker: str) -> None:
        """Put the worker's unstarted tasks back to where they stood."""
        back = [
            placed.ticket
            for placed in self._placed.values()
            if placed.worker == worker and not placed.has_started
        ]
        for ticket in back:
            del self._placed[ticket.task_id]
            self._places.free(ticket.lane)
            self._wait(ticket)
        self.notify()

    def is_handed_out(self, task_id: str) -> bool:
        """A worker was given it and has not told of its start."""
        placed = self._placed.get(task_id)
        return placed is not None and not placed.has_started

    def limit_kind(self, kind: str, most: int | None) -> None:
        """Hold the kind, let some of it through, or let it go."""
        self._places.limit_kind(kind, most)
        self.notify()

    def notify(self) -> None:
        """Wake all who wait in ``changed``."""
        self._version += 1
        self._change.set()
        self._change = asyncio.Event()

    @property
    def version(self) -> int:
        """Grows with each change."""
        return self._version

    async def changed(self, since: int, timeout_seconds: float) -> None:
        """Return when the version is above ``since``, or after the time-out."""
        if self._version > since:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds):
                await self._change.wait()

    def _wait(self, ticket: _Ticket) -> None:
        self._waiting[ticket.task_id] = ticket
        heapq.heappush(self._lanes.setdefault(ticket.lane, []), ticket)

    def _place(self, ticket: _Ticket, worker: str) -> None:
        del self._waiting[ticket.task_id]
        self._placed[ticket.task_id] = _Placed(ticket, worker)
        self._places.fill(ticket.lane)

    def _recall(self, worker: str, held: Mapping[str, int]) -> None:
        """The worker was handed these by an earlier server, and has not told of their start."""
        for task_id, attempt in held.items():
            ticket = self._waiting.get(task_id)
            if ticket is not None and ticket.attempt == attempt:
                self._place(ticket, worker)

    def _first(self) -> _Ticket | None:
        """The first of the tasks that may go."""
        return min(self._heads(), default=None)

    def _heads(self) -> Iterator[_Ticket]:
        """The first of each lane that has a place free."""
        if not self._places.any_free:
            return
        for lane in list(self._lanes):
            if self._places.is_free(lane) and (ticket := self._head(lane)):
                yield ticket

    def _head(self, lane: Lane) -> _Ticket | None:
        heap = self._lanes[lane]
        while heap and self._waiting.get(heap[0].task_id) is not heap[0]:
            heapq.heappop(heap)
        if heap:
            return heap[0]
        del self._lanes[lane]
        return None
