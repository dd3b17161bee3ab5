"""What makes events durable: all that wait are written together and synced once.

Whoever appends waits for the end of the present turn of his event loop, so that all who have
something to write in it meet; one who met nobody the last time goes on without, for a millisecond.
The first whose turn comes next decides, journals, syncs and applies for all, there in the loop: to
be passed to a thread and back takes longer than a quick disk. Only where the disk has not been
quick lately (``pace.py``), there is much to write, the database must be asked, or the thread is at
it already, the thread does it, and the callers wait until it tells their loops. So the loop, which
serves everybody, is held as long as an ordinary handler holds it, and by a disk that has become
slow for one sync. The thread also finds out when an unwritable journal can be written again, and
makes room in it.

Who writes holds the turn: journal, memory and pace change hands with it, and only its holder takes
requests from the queue. So all are written in the order of their arrival, from whichever loop, and
a request that is no longer in the queue, seen by the holder, has its outcome.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Lock, Thread

from opspawn_jupyter.errors import StoreUnavailable
from opspawn_jupyter.model.event import Draft, Event
from opspawn_jupyter.pace import Pace, TooLong
from opspawn_jupyter.stores.archive import Archive, AtHand
from opspawn_jupyter.stores.journal import Journal
from opspawn_jupyter.stores.memory import Memory
from opspawn_jupyter.stores.request import Request, tell
from opspawn_jupyter.stores.stage import Stage

logger = logging.getLogger(__name__)

#: Most requests of one batch: its latency is everybody's.
_BATCH = 1_000
#: Most drafts that are written in an event loop: to decide on them takes about as long as 0.5 ms.
_MOST_DRAFTS = 32
#: For so long one caller may write on, after nobody has joined him, before others are let in.
_LONELY_SECONDS = 0.001
IS_CLOSED = "it was closed, because the server is stopping"
#: How often a journal that could not be written is tried again, though nobody asks for it.
_PROBE_SECONDS = 1.0


class Writer:
    """Decides, journals and applies drafts in the order of their arrival.

    ``on_write`` is called after each batch.
    """

    def __init__(
        self,
        memory: Memory,
        journal: Journal,
        archive: Archive,
        pace: Pace,
        on_write: Callable[[], None],
    ) -> None:
        self._memory = memory
        self._journal = journal
        self._archive = archive
        self._at_hand = AtHand(archive)
        self._pace = pace
        self._on_write = on_write
        self._turn = Lock()
        self._waiting: deque[Request] = deque()
        #: Each wakes the thread; one too many does no harm.
        self._knocks: SimpleQueue[None] = SimpleQueue()
        #: The last batch was one caller's, and when there was a chance for more to join.
        self._is_alone = False
        self._met_at = 0.0
        self._is_stopping = self._is_stopped = False
        #: What keeps events from being written, and what to do; None while nothing does.
        self.problem: str | None = None
        self._thread = Thread(target=self._run, name="opspawn-journal", daemon=True)
        self._thread.start()

    async def write(self, drafts: Sequence[Draft]) -> tuple[Event, ...]:
        """Events for the drafts, once they are durable. Where the caller goes away they stay."""
        request = Request(drafts)
        self._waiting.append(request)
        if not self._is_alone or time.monotonic() - self._met_at > _LONELY_SECONDS:
            await self._meet()
        if request.outcome is None and not self._write_here():
            await self._hand_over(request)
        return request.result()

    async def caught_up(self) -> None:
        """Return once all that was put before is written, or is known to be unwritable."""
        with suppress(StoreUnavailable):
            await self.write(())

    def stop(self) -> None:
        """Write what waits, then end. What comes afterwards is refused."""
        self._is_stopping = True
        self._knocks.put(None)
        self._thread.join()
        with self._turn:
            self._is_stopped = True
            self._journal.close()
        self._refuse()

    def _write_here(self) -> bool:
        """Write all that waits; False where that is the thread's to do."""
        if self._is_stopped:
            self._refuse()
            return True
        is_quick = self._pace.is_quick and self.problem is None
        if not (is_quick and self._turn.acquire(blocking=False)):
            return False
        requests = self._take()
        try:
            self._write_at_once(requests)
        except TooLong:
            self._waiting.extendleft(reversed(requests))
            return False
        finally:
            self._turn.release()
        self._is_alone = len(requests) == 1
        self._finish(requests)
        if self.problem is not None or not self._journal.is_prepared:
            self._knocks.put(None)
        return True

    async def _meet(self) -> None:
        """Let all who have something to write in this turn of the loop say so."""
        try:
            await asyncio.sleep(0)
        except BaseException:
            self._knocks.put(None)
            raise
        self._met_at = time.monotonic()

    async def _hand_over(self, request: Request) -> None:
        """Wait until the thread has written it."""
        request.answer = asyncio.get_running_loop().create_future()
        self._knocks.put(None)
        if request.outcome is None:  # else whoever wrote it need not have seen the answer
            await request.answer

    def _run(self) -> None:
        while not self._is_stopping or self._waiting:
            is_knocked = self._await_knock()
            with self._turn:
                requests = self._take()
                if requests:
                    self._write(requests, self._archive)
                elif not is_knocked:
                    self._probe()
                self._journal.prepare(self._memory.seq + 1)
            self._finish(requests)

    def _await_knock(self) -> bool:
        """False after a while in which writing was not possible and nobody wanted it."""
        if self._is_stopping:
            return True
        try:
            self._knocks.get(timeout=_PROBE_SECONDS if self.problem else None)
        except Empty:
            return False
        return True

    def _take(self) -> list[Request]:
        """What waits, the oldest first. Called by the turn's holder."""
        taken: list[Request] = []
        while self._waiting and len(taken) < _BATCH:
            taken.append(self._waiting.popleft())
        return taken

    def _finish(self, requests: Sequence[Request]) -> None:
        """After a batch: tell who waits for it, and whoever has work with it."""
        tell(requests)
        self._on_write()

    def _refuse(self) -> None:
        """Answer what came when the thread had ended."""
        with self._turn:
            requests = self._take()
            for request in requests:
                request.outcome = StoreUnavailable(hint=IS_CLOSED)
        tell(requests)

    def _write_at_once(self, requests: Sequence[Request]) -> None:
        """Raises ``TooLong``, before anything has changed, where it cannot be done so."""
        if sum([len(request.drafts) for request in requests]) > _MOST_DRAFTS:
            raise TooLong
        self._write(requests, self._at_hand)

    def _write(self, requests: Sequence[Request], archive: Archive | AtHand) -> None:
        stage = Stage(self._memory, archive)
        outcomes = [_decide(stage, request.drafts) for request in requests]
        try:
            if stage.events:
                self._append(stage)
        except StoreUnavailable as failure:
            self._note(failure)
            # Refusals too: they may have met a state that is now undone.
            outcomes = [failure] * len(requests)
        else:
            self._memory.apply(stage)
        for request, outcome in zip(requests, outcomes, strict=True):
            request.outcome = outcome

    def _append(self, stage: Stage) -> None:
        began = time.perf_counter()
        self._journal.append(stage.bodies)
        self._pace.note(time.perf_counter() - began)
        self._note(None)

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


def _decide(stage: Stage, drafts: Sequence[Draft]) -> tuple[Event, ...] | Exception:
    try:
        return stage.add(drafts)
    except TooLong:
        raise
    except Exception as refusal:  # whatever one caller's drafts raise is that caller's alone
        return refusal
