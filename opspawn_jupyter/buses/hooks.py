"""Tells those whom a task's submission names when the task has ended: webhooks and notifiers.

Each outcome of a task with hooks is owed until it is delivered or given up. A small file keeps
the seq up to which nothing is owed, so that a server which was killed goes on from there: every
hook is called at least once, and after a kill perhaps twice. A receiver knows a repeated call by
``event.seq``.

Used from the server's event loop only. Telling never waits: deliveries run beside the verbs, a
bounded number at a time.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from opspawn_jupyter.errors import Unavailable
from opspawn_jupyter.files import write_json
from opspawn_jupyter.model import wire
from opspawn_jupyter.model.backoff import delay_seconds
from opspawn_jupyter.model.event import Event
from opspawn_jupyter.model.policy import Jitter
from opspawn_jupyter.model.states import OUTCOME_EVENTS, TRANSITIONS, EventType, State
from opspawn_jupyter.model.task import Task
from opspawn_jupyter.ports import Store

logger = logging.getLogger(__name__)

#: Tries of one call, the first included.
_TRIES = 6
_MOST_OWED = 10_000
_AT_ONCE = 8
#: How often the file is rewritten where no hook is called.
_EVENTS_A_FILE = 5_000
_PAGE = 1_000
#: What deliveries under way get when the server stops; the next server repeats the others.
_FAREWELL_SECONDS = 2.0


class Undelivered(Exception):
    """The call did not arrive. ``is_final``: and never will."""

    def __init__(self, reason: str, *, is_final: bool = False) -> None:
        super().__init__(reason)
        self.is_final = is_final


class Sender(Protocol):
    """How one sort of hook is called."""

    async def send(self, hook: str, event: Event, task: Task) -> None:
        """Call it once. Raises ``Undelivered``."""


class HookBus:
    """A ``Bus`` that calls hooks."""

    def __init__(
        self,
        store: Store,
        file: Path,
        *,
        webhook: Sender,
        notifier: Sender,
        first_delay_seconds: float = 1.0,
    ) -> None:
        self._store = store
        self._file = file
        self._webhook = webhook
        self._notifier = notifier
        self._first_delay_seconds = first_delay_seconds
        #: Unfinished tasks that have hooks.
        self._hooked: set[str] = set()
        #: Seqs of outcomes that are not delivered.
        self._owed: set[int] = set()
        self._last_seq = 0
        #: What the file says.
        self._written = -1
        self._deliveries: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._file_lock = asyncio.Lock()

    async def start(self) -> None:
        """Go on where the last server stopped. Nothing may be told before."""
        for task in await self._store.unfinished():
            if task.on_success or task.on_failure:
                self._hooked.add(task.id)
        last_seq = await self._store.last_seq()
        self._last_seq = await asyncio.to_thread(self._read, last_seq)
        while events := await self._store.events(after=self._last_seq, limit=_PAGE):
            for event in events:
                if _outcome(event) is not None:
                    self._hooked.add(event.task_id)  # it has ended: its record says whether
            self.tell(events)
        await self._write()

    def tell(self, events: Sequence[Event]) -> None:
        """Take note of hooks, and begin to call those of tasks that ended."""
        for event in events:
            if event.type is EventType.SUBMITTED:
                if event.data.get("on_success") or event.data.get("on_failure"):
                    self._hooked.add(event.task_id)
            elif event.task_id in self._hooked and _outcome(event) is not None:
                self._hooked.discard(event.task_id)
                self._owe(event)
            self._last_seq = max(self._last_seq, event.seq)
        if self._cursor - self._written >= _EVENTS_A_FILE and not self._file_lock.locked():
            self._begin(self._write())

    async def close(self) -> None:
        """Give what is under way a moment, and leave the rest to the next server."""
        if self._deliveries:
            await asyncio.wait(self._deliveries, timeout=_FAREWELL_SECONDS)
        for delivery in self._deliveries:
            delivery.cancel()
        await asyncio.gather(*self._deliveries, return_exceptions=True)
        await self._write()

    async def announce(self, hooks: Sequence[str], task: Task) -> None:
        """Call these hooks about a task that has ended, beside those of its submission; return when
        they are called or given up. Whoever is cancelled meanwhile has it repeated, or not."""
        event = Event(
            task_id=task.id, type=OUTCOME_EVENTS[task.state], attempt=task.attempt, seq=task.seq
        )
        await asyncio.gather(*(self._call(hook, event, task) for hook in hooks))

    @property
    def _cursor(self) -> int:
        """Up to here nothing is owed."""
        return min(self._owed, default=self._last_seq + 1) - 1

    def _owe(self, event: Event) -> None:
        if len(self._owed) >= _MOST_OWED:
            logger.error("hooks dropped, too many wait task_id=%s", event.task_id)
            return
        self._owed.add(event.seq)
        self._begin(self._deliver(event))

    def _begin(self, work: Any) -> None:
        delivery = asyncio.get_running_loop().create_task(work)
        self._deliveries.add(delivery)
        delivery.add_done_callback(self._deliveries.discard)

    async def _deliver(self, event: Event) -> None:
        try:
            task = await self._store.task(event.task_id)
        except Unavailable as problem:
            # It stays owed: the next server calls it.
            logger.warning("hook put off task_id=%s reason=%s", event.task_id, problem)
            return
        if task is not None:
            hooks = task.on_success if task.state is State.SUCCESS else task.on_failure
            await asyncio.gather(*(self._call(hook, event, task) for hook in hooks))
        self._owed.discard(event.seq)
        await self._write()

    async def _call(self, hook: str, event: Event, task: Task) -> None:
        """Call one hook, several times if need be."""
        for number in range(1, _TRIES + 1):
            try:
                async with self._slots:
                    await self._sender(hook).send(hook, event, task)
            except Undelivered as problem:
                if problem.is_final or number == _TRIES:
                    logger.error(
                        "hook failed task_id=%s tries=%s reason=%s", task.id, number, problem
                    )
                    return
                await asyncio.sleep(self._delay_seconds(number))
            else:
                logger.info("hook delivered task_id=%s tries=%s", task.id, number)
                return

    def _sender(self, hook: str) -> Sender:
        return self._webhook if "://" in hook else self._notifier

    def _delay_seconds(self, number: int) -> float:
        return delay_seconds(
            number,
            first_seconds=self._first_delay_seconds,
            factor=4.0,
            cap_seconds=600.0,
            jitter=Jitter.NONE,
            chance=0.0,
        )

    def _read(self, last_seq: int) -> int:
        """Up to where nothing is owed; all of it where there is no file yet."""
        try:
            return min(int(json.loads(self._file.read_bytes())["delivered"]), last_seq)
        except FileNotFoundError:
            return last_seq
        except (OSError, ValueError, KeyError, TypeError):
            logger.exception("hooks' file cannot be read; older hooks are not called")
            return last_seq

    async def _write(self) -> None:
        async with self._file_lock:
            cursor = self._cursor
            if cursor == self._written:
                return
            try:
                await asyncio.to_thread(write_json, self._file, {"delivered": cursor}, mode=0o600)
            except OSError:
                logger.exception("hooks' file cannot be written")
            self._written = cursor


def _outcome(event: Event) -> State | None:
    """The state in which the event ends a task; None where it does not."""
    transition = TRANSITIONS.get(event.type)
    return transition.target if transition and transition.target.is_final else None


def body(event: Event, task: Task) -> Mapping[str, Any]:
    """What a webhook is sent."""
    return {"event": wire.encode(event), "task": wire.encode(task)}
