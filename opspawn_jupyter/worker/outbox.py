"""Events that the server does not have yet."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NamedTuple

from opspawn_jupyter.model.states import OUTCOME_EVENTS, EventType
from opspawn_jupyter.model.work import ReportedEvent

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


class Piece(NamedTuple):
    """Events that follow one another, as JSON objects with commas between them."""

    text: str
    #: It is dropped where too much waits.
    is_passing: bool
    is_urgent: bool


@dataclass
class _Waiting:
    """What there is of one attempt, oldest first."""

    pieces: deque[Piece] = field(default_factory=deque)
    passing_bytes: int = 0

    def add(self, piece: Piece) -> None:
        self.pieces.append(piece)
        self.passing_bytes += len(piece.text) if piece.is_passing else 0

    def take(self) -> Piece:
        piece = self.pieces.popleft()
        self.passing_bytes -= len(piece.text) if piece.is_passing else 0
        return piece

    def put_back(self, pieces: Sequence[Piece]) -> None:
        self.pieces.extendleft(reversed(pieces))
        self.passing_bytes += sum(len(piece.text) for piece in pieces if piece.is_passing)
        self.forget_oldest()

    def forget_oldest(self) -> None:
        """Drop passing events beyond the limit, oldest first; durable ones stay where they are."""
        if self.passing_bytes <= _PASSING_BYTES:
            return
        kept: deque[Piece] = deque()
        for piece in self.pieces:
            if piece.is_passing and self.passing_bytes > _PASSING_BYTES // 2:
                self.passing_bytes -= len(piece.text)
            else:
                kept.append(piece)
        self.pieces = kept


class Outbox:
    """Keeps durable events until they are delivered, and the newest of the others."""

    def __init__(self) -> None:
        #: By task id and attempt: the next attempt can begin here before the end of the last one
        #: is known to be delivered, because the server's answer to that was lost.
        self._waiting: dict[tuple[str, int], _Waiting] = {}
        self._sending: dict[tuple[str, int], list[Piece]] = {}
        self._filled = asyncio.Event()
        self._urgent = asyncio.Event()
        #: Until what may wait a little is urgent, too.
        self._soon: asyncio.TimerHandle | None = None
        self._emptied = asyncio.Event()
        self._emptied.set()

    def add(self, task_id: str, attempt: int, *events: ReportedEvent) -> None:
        """Take events of this attempt, later than all before. What somebody waits for goes at
        once."""
        for event in events:
            is_urgent = event.type in _URGENT
            self.put(task_id, attempt, Piece(event.text, not event.type.is_durable, is_urgent))

    def put(self, task_id: str, attempt: int, piece: Piece, *, may_wait: bool = False) -> None:
        """Likewise; with ``may_wait`` a little later, because more like it is to follow."""
        key = task_id, attempt
        waiting = self._waiting.get(key)
        if waiting is None:
            waiting = self._waiting[key] = _Waiting()
        waiting.add(piece)
        waiting.forget_oldest()
        self._filled.set()
        self._emptied.clear()
        if piece.is_urgent:
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

    def collect(self) -> str:
        """What to deliver next, a ``ReportRequest`` as JSON; ``delivered`` or ``put_back`` must
        follow."""
        self._urgent.clear()
        if self._soon is not None:
            self._soon.cancel()
            self._soon = None
        room = _REPORT_BYTES
        reports = []
        for key, waiting in self._waiting.items():
            taken: list[Piece] = []
            while waiting.pieces and room > 0:
                taken.append(waiting.take())
                room -= len(taken[-1].text)
            if taken:
                self._sending[key] = taken
                reports.append(_report(*key, taken))
        return f'{{"reports":[{",".join(reports)}]}}'

    def delivered(self) -> None:
        """The server has all that was collected last."""
        self._sending.clear()
        self._waiting = {key: one for key, one in self._waiting.items() if one.pieces}
        self._note_emptiness()

    def put_back(self) -> None:
        """What was collected last may be lost: keep it for later."""
        for key, taken in self._sending.items():
            self._waiting[key].put_back(taken)
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


def _report(task_id: str, attempt: int, pieces: Sequence[Piece]) -> str:
    """A ``Report`` as JSON."""
    events = ",".join([piece.text for piece in pieces])
    return f'{{"task_id":{json.dumps(task_id)},"attempt":{attempt},"events":[{events}]}}'
