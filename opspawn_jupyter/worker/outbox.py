"""Events that the server does not have yet."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from opspawn_jupyter.model.states import OUTCOME_EVENTS, EventType
from opspawn_jupyter.model.work import Report, ReportedEvent, ReportRequest

#: What is kept of a task's passing events, such as cell outputs, while nobody takes them.
_PASSING_BYTES = 1 << 20
_REPORT_BYTES = 4 << 20
#: How long the ends of small steps gather to be told together.
_SOON_SECONDS = 0.02
#: The end of an attempt, for which somebody waits, and what counts against the budgets that agents
#: share: the next look at those is only milliseconds away.
_URGENT = frozenset(
    {
        *OUTCOME_EVENTS.values(),
        EventType.WAITING,
        EventType.MODEL_REPLIED,
        EventType.AGENT_CALLED,
    }
)


@dataclass
class _Waiting:
    """One attempt's events, oldest first, each with its size."""

    events: deque[tuple[ReportedEvent, int]] = field(default_factory=deque)
    passing_bytes: int = 0


class Outbox:
    """Keeps durable events until they are delivered, and the newest of the others."""

    def __init__(self) -> None:
        #: By task id and attempt: the next attempt can begin here before the end of the last one
        #: is known to be delivered, because the server's answer to that was lost.
        self._waiting: dict[tuple[str, int], _Waiting] = {}
        self._sending: dict[tuple[str, int], list[tuple[ReportedEvent, int]]] = {}
        self._filled = asyncio.Event()
        self._urgent = asyncio.Event()
        #: Until what may wait a little is urgent, too.
        self._soon: asyncio.TimerHandle | None = None
        self._emptied = asyncio.Event()
        self._emptied.set()

    def add(
        self, task_id: str, attempt: int, *events: ReportedEvent, may_wait: bool = False
    ) -> None:
        """Take events of this attempt, later than all before. What somebody waits for goes at
        once; with ``may_wait`` a little later, because more like it is to follow."""
        waiting = self._waiting.setdefault((task_id, attempt), _Waiting())
        for event in events:
            size = len(event.text)
            waiting.events.append((event, size))
            if not event.type.is_durable:
                waiting.passing_bytes += size
        _forget_oldest(waiting)
        self._filled.set()
        self._emptied.clear()
        if any(event.type in _URGENT for event in events):
            self._hurry(may_wait)

    def _hurry(self, may_wait: bool) -> None:
        if not may_wait:
            self._urgent.set()
        elif self._soon is None:
            self._soon = asyncio.get_running_loop().call_later(_SOON_SECONDS, self._urgent.set)

    async def filled(self) -> None:
        """Return once there is something to deliver."""
        await self._filled.wait()

    async def gather(self, pause_seconds: float) -> None:
        """Let more events come for so long; no longer than until one comes that is urgent."""
        with suppress(TimeoutError):
            async with asyncio.timeout(pause_seconds):
                await self._urgent.wait()

    async def emptied(self) -> None:
        """Return once everything is delivered."""
        await self._emptied.wait()

    def collect(self) -> ReportRequest:
        """What to deliver next; ``delivered`` or ``put_back`` must follow."""
        self._urgent.clear()
        if self._soon is not None:
            self._soon.cancel()
            self._soon = None
        room = _REPORT_BYTES
        reports = []
        for key, waiting in self._waiting.items():
            taken: list[tuple[ReportedEvent, int]] = []
            while waiting.events and room > 0:
                event, size = waiting.events.popleft()
                waiting.passing_bytes -= 0 if event.type.is_durable else size
                room -= size
                taken.append((event, size))
            if taken:
                self._sending[key] = taken
                events = tuple(event for event, _ in taken)
                task_id, attempt = key
                reports.append(Report(task_id=task_id, attempt=attempt, events=events))
        return ReportRequest(reports=tuple(reports))

    def delivered(self) -> None:
        """The server has all that was collected last."""
        self._sending.clear()
        self._waiting = {key: one for key, one in self._waiting.items() if one.events}
        self._note_emptiness()

    def put_back(self) -> None:
        """What was collected last may be lost: keep it for later."""
        for key, taken in self._sending.items():
            waiting = self._waiting[key]
            waiting.events.extendleft(reversed(taken))
            waiting.passing_bytes += sum(size for event, size in taken if not event.type.is_durable)
            _forget_oldest(waiting)
        self._sending.clear()

    def forget(self, task_id: str) -> None:
        """Nobody wants to hear of this task."""
        for key in [key for key in self._waiting if key[0] == task_id]:
            del self._waiting[key]
            self._sending.pop(key, None)
        self._note_emptiness()

    @property
    def attempts(self) -> Mapping[str, int]:
        """Attempt by task id, of all tasks with something undelivered; the last one of each."""
        return dict(sorted(self._waiting))

    def _note_emptiness(self) -> None:
        if not self._waiting:
            self._filled.clear()
            self._emptied.set()


def _forget_oldest(waiting: _Waiting) -> None:
    """Drop passing events beyond the limit, oldest first; durable ones stay where they are."""
    if waiting.passing_bytes <= _PASSING_BYTES:
        return
    kept: deque[tuple[ReportedEvent, int]] = deque()
    for event, size in waiting.events:
        if not event.type.is_durable and waiting.passing_bytes > _PASSING_BYTES // 2:
            waiting.passing_bytes -= size
        else:
            kept.append((event, size))
    waiting.events = kept
