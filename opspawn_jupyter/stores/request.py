"""What a caller wants written, and how he is told what has become of it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from opspawn_jupyter.model.event import Draft, Event


class Request:
    """Drafts of one caller, and what has become of them."""

    def __init__(self, drafts: Sequence[Draft]) -> None:
        self.drafts = drafts
        self.outcome: tuple[Event, ...] | Exception | None = None
        #: Where the caller waits for the thread.
        self.answer: asyncio.Future[None] | None = None

    def result(self) -> tuple[Event, ...]:
        """The events. Raises what the drafts were refused with."""
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome or ()


def tell(requests: Sequence[Request]) -> None:
    """Tell each loop of all its answers in one call: waking it is what costs."""
    by_loop: dict[asyncio.AbstractEventLoop, list[asyncio.Future[None]]] = {}
    for request in requests:
        if request.answer is not None:
            by_loop.setdefault(request.answer.get_loop(), []).append(request.answer)
    for loop, answers in by_loop.items():
        with suppress(RuntimeError):  # the loop was closed while its caller waited
            loop.call_soon_threadsafe(_answer, answers)


def _answer(answers: Sequence[asyncio.Future[None]]) -> None:
    for answer in answers:
        if not answer.done():  # else the caller has gone away; the events stay
            answer.set_result(None)
