"""The thread that makes events durable: all that wait are written together and synced once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Thread

from opspawn_jupyter.errors import StoreUnavailable
from opspawn_jupyter.model.event import Draft, Event
from opspawn_jupyter.stores.journal import Journal
from opspawn_jupyter.stores.memory import Archive, Memory
from opspawn_jupyter.stores.stage import Stage

logger = logging.getLogger(__name__)

#: Most requests of one batch: its latency is everybody's.
_BATCH = 1_000
#: How often a journal that could not be written is tried again, though nobody asks for it.
_PROBE_SECONDS = 1.0


@dataclass(frozen=True, kw_only=True)
class _Request:
    drafts: Sequence[Draft]
    loop: asyncio.AbstractEventLoop
    answer: asyncio.Future[tuple[Event, ...]]


@dataclass(frozen=True, kw_only=True)
class _Verdict:
    request: _Request
    outcome: tuple[Event, ...] | Exception

    def deliver(self) -> None:
        answer = self.request.answer
        if answer.done():
            return  # the caller has gone away; the events stay
        if isinstance(self.outcome, Exception):
            answer.set_exception(self.outcome)
        else:
            answer.set_result(self.outcome)


class Writer:
    """Decides, journals and applies drafts in the order of their arrival.

    ``on_write`` is called after each batch.
    """

    def __init__(
        self,
        memory: Memory,
        journal: Journal,
        archive: Archive,
        on_write: Callable[[], None],
    ) -> None:
        self._memory = memory
        self._journal = journal
        self._archive = archive
        self._on_write = on_write
        self._waiting: SimpleQueue[_Request | None] = SimpleQueue()
        #: What keeps events from being written, and what to do; None while nothing does.
        self.problem: str | None = None
        self._thread = Thread(target=self._run, name="opspawn-journal", daemon=True)
        self._thread.start()

    def put(self, drafts: Sequence[Draft]) -> asyncio.Future[tuple[Event, ...]]:
        """Events for the drafts, once they are durable. Called in an event loop."""
        loop = asyncio.get_running_loop()
        request = _Request(drafts=drafts, loop=loop, answer=loop.create_future())
        self._waiting.put(request)
        return request.answer

    async def caught_up(self) -> None:
        """Return once all that was put before is written, or is known to be unwritable."""
        with suppress(StoreUnavailable):
            await self.put(())

    def stop(self) -> None:
        """Write what waits, then end. Nothing may be put afterwards."""
        self._waiting.put(None)
        self._thread.join()
        self._journal.close()

    def _run(self) -> None:
        while True:
            batch = self._next_batch()
            requests = [request for request in batch if request is not None]
            if requests:
                _deliver(self._write(requests))
                self._on_write()
            elif not batch:
                self._probe()
            if len(requests) < len(batch):
                return

    def _next_batch(self) -> list[_Request | None]:
        """What waits; nothing after a while in which writing was not possible."""
        batch: list[_Request | None] = []
        with suppress(Empty):
            batch.append(self._waiting.get(timeout=_PROBE_SECONDS if self.problem else None))
            while batch[-1] is not None and len(batch) < _BATCH:
                batch.append(self._waiting.get_nowait())
        return batch

    def _write(self, requests: Sequence[_Request]) -> list[_Verdict]:
        stage = Stage(self._memory, self._archive)
        verdicts = [_decide(stage, request) for request in requests]
        try:
            if stage.events:
                self._journal.append(stage.bodies, stage.seq + 1)
                self._note(None)
        except StoreUnavailable as failure:
            self._note(failure)
            # Refusals too: they may have met a state that is now undone.
            return [_Verdict(request=request, outcome=failure) for request in requests]
        self._memory.apply(stage)
        return verdicts

    def _probe(self) -> None:
        try:
            self._journal.probe()
        except StoreUnavailable as failure:
            self._note(failure)
        else:
            self._note(None)

    def _note(self, failure: StoreUnavailable | None) -> None:
        """Log when writing stops and when it works again, not each time."""
        if failure and self.problem is None:
            logger.error("journal unwritable reason=%s", failure)
        elif not failure and self.problem is not None:
            logger.info("journal writable again")
        self.problem = failure.message if failure else None


def _decide(stage: Stage, request: _Request) -> _Verdict:
    try:
        return _Verdict(request=request, outcome=stage.add(request.drafts))
    except Exception as refusal:  # whatever one caller's drafts raise is that caller's alone
        return _Verdict(request=request, outcome=refusal)


def _deliver(verdicts: Sequence[_Verdict]) -> None:
    """Hand each loop all its answers in one call: waking it is what costs."""
    by_loop: dict[asyncio.AbstractEventLoop, list[_Verdict]] = {}
    for verdict in verdicts:
        by_loop.setdefault(verdict.request.loop, []).append(verdict)
    for loop, its in by_loop.items():
        with suppress(RuntimeError):  # the loop was closed while its caller waited
            loop.call_soon_threadsafe(_deliver_all, its)


def _deliver_all(verdicts: Sequence[_Verdict]) -> None:
    for verdict in verdicts:
        verdict.deliver()
