"""Events for whoever listens on a websocket of this server.

Each listener has a bounded queue of its own, so telling never waits: a listener that does not
keep up is dropped and comes back with the sequence number it has seen. What a task's cells print
is not durable, so its end is kept here for those who start to look while it runs, or just after.

Used from the server's event loop only.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence

from opspawn_jupyter.model import wire
from opspawn_jupyter.model.event import Event
from opspawn_jupyter.model.event_hash import members, written_of
from opspawn_jupyter.model.json_text import encoder
from opspawn_jupyter.model.states import ENDS, EventType

#: Half of a surrogate pair, which is no UTF-8, passes as an escape.
_encode = encoder(allow_nan=False, spaces=False)
#: What a listener may be behind before it is dropped.
_LONGEST_QUEUE = 2000
_MOST_QUEUED_CHARACTERS = 32 * 1024 * 1024
#: What is kept of one task's outputs.
_MOST_KEPT_CHARACTERS = 256 * 1024
#: Ended tasks whose outputs are still kept: a short run ends before its caller can listen.
_MOST_ENDED = 32


class Told:
    """An event on its way to listeners; its JSON is made once for all of them."""

    def __init__(self, event: Event) -> None:
        self.event = event
        self.is_durable = event.type.is_durable
        self._text: str | None = None

    @property
    def text(self) -> str:
        """The event as a JSON message: as the journal has it, where it has."""
        if self._text is None:
            self._text = written_of(self.event) or _encoded(self.event)
        return self._text


def _encoded(event: Event) -> str:
    try:
        return _encode({**members(event), "hash": event.hash})
    except (TypeError, ValueError):  # its data is not JSON as it is
        return wire.to_json(event)


class Subscription:
    """What one listener has still to be told. Iterate it once."""

    def __init__(self, outputs: Sequence[Told], *, wants_outputs: bool = True) -> None:
        #: Outputs of the task's cells from before this subscription.
        self.outputs = tuple(outputs)
        self._wants_outputs = wants_outputs
        #: It was too slow and has missed something.
        self.is_overrun = False
        self._is_closed = False
        self._waiting: list[Told] = []
        self._characters = 0
        self._change = asyncio.Event()

    def put(self, told: Sequence[Told]) -> None:
        """Queue them, or give the listener up."""
        if self._is_closed:
            return
        passing = [one for one in told if not one.is_durable]
        if passing and self._wants_outputs:
            self._characters += sum(len(one.text) for one in passing)
        elif passing:
            told = [one for one in told if one.is_durable]
        is_too_much = self._characters > _MOST_QUEUED_CHARACTERS
        if is_too_much or len(self._waiting) + len(told) > _LONGEST_QUEUE:
            self.is_overrun = True
            self.close()
            return
        self._waiting += told
        self._change.set()

    def close(self) -> None:
        """End the iteration; what waits is dropped."""
        self._is_closed = True
        self._waiting.clear()
        self._change.set()

    async def __aiter__(self) -> AsyncIterator[Sequence[Told]]:
        """Events as they come, all at once that wait, until the subscription is closed."""
        while not self._is_closed:
            while self._waiting:
                told = tuple(self._waiting)
                self._waiting.clear()
                self._characters = 0
                yield told
            self._change.clear()
            if not self._waiting and not self._is_closed:
                await self._change.wait()


class _Kept:
    """The end of what one task's cells put out."""

    def __init__(self) -> None:
        self.told: deque[Told] = deque()
        self._characters = 0

    def add(self, told: Told) -> None:
        self.told.append(told)
        self._characters += len(told.text)
        while self._characters > _MOST_KEPT_CHARACTERS and len(self.told) > 1:
            self._characters -= len(self.told.popleft().text)


class WebsocketBus:
    """Who listens, and the outputs of unfinished tasks."""

    def __init__(self) -> None:
        self._subscriptions: set[Subscription] = set()
        self._kept: dict[str, _Kept] = {}
        #: Ended tasks among the kept, oldest first.
        self._ended: deque[str] = deque()

    def tell(self, events: Sequence[Event]) -> None:
        """Queue the events for every listener."""
        told = [Told(event) for event in events]
        for one in told:
            self._keep(one)
        for subscription in self._subscriptions:
            subscription.put(told)

    def subscribe(self, task_id: str | None = None, *, outputs: bool = True) -> Subscription:
        """Everything told from now on, and the kept outputs of the task; without ``outputs``
        only what is durable."""
        kept = self._kept.get(task_id) if task_id is not None and outputs else None
        subscription = Subscription(tuple(kept.told) if kept else (), wants_outputs=outputs)
        self._subscriptions.add(subscription)
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """Tell it nothing more. To be called for every subscription in the end."""
        subscription.close()
        self._subscriptions.discard(subscription)

    def close(self) -> None:
        """End every subscription."""
        for subscription in self._subscriptions:
            subscription.close()

    def _keep(self, told: Told) -> None:
        event = told.event
        if event.type is EventType.CELL_OUTPUT:
            self._kept.setdefault(event.task_id, _Kept()).add(told)
        elif event.type in ENDS:
            self._ended.append(event.task_id)
            if len(self._ended) > _MOST_ENDED:
                self._kept.pop(self._ended.popleft(), None)
