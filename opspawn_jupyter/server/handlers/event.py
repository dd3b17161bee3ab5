"""The stream of events: what was missed, then what happens, without a gap or a repetition.

A listener subscribes before the past is read, so nothing falls between. Durable events are
counted: one whose number is too high to follow the last one sent shows that others are on their
way, and those are read from the store; one whose number was passed is dropped.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Sequence

from jupyter_core.utils import ensure_async
from jupyter_server.auth.decorator import ws_authenticated
from jupyter_server.base.handlers import JupyterHandler
from jupyter_server.base.websocket import WebSocketMixin
from tornado.web import HTTPError
from tornado.websocket import WebSocketClosedError, WebSocketHandler

from opspawn_jupyter.buses.websocket import Subscription, Told
from opspawn_jupyter.model import wire
from opspawn_jupyter.model.event import Event
from opspawn_jupyter.orchestrator.find import find
from opspawn_jupyter.ports import Store
from opspawn_jupyter.server.handlers.base import EnvelopeMixin
from opspawn_jupyter.server.schemas import StreamQuery
from opspawn_jupyter.server.service import Running

_PAGE = 1000
#: RFC 6455, section 7.4.1, and the registry that it founds.
_GOING_AWAY = 1001
_TRY_AGAIN_LATER = 1013


class EventFeed:
    """What one listener is to be sent."""

    def __init__(self, store: Store, subscription: Subscription, task_id: str | None) -> None:
        self._store = store
        self._subscription = subscription
        self._task_id = task_id
        self._sent = 0

    async def messages(self, after: int | None, last_seq: int) -> AsyncIterator[Sequence[str]]:
        """JSON messages, from the past into the future, those together that can be told at once.

        ``last_seq`` must have been read from the store after the subscription was made.
        """
        self._sent = last_seq if after is None else min(after, last_seq)
        async for text in self._past(last_seq):
            yield (text,)
        async for some in self._subscription:
            texts: list[str] = []
            for told in some:
                # One that is not durable bears the number of the durable one before it.
                until = told.event.seq - told.is_durable
                if self._sent < until:
                    texts += [wire.to_json(missed) async for missed in self._from_store(until)]
                if self._is_new(told):
                    texts.append(told.text)
            if texts:
                yield texts

    async def _past(self, last_seq: int) -> AsyncIterator[str]:
        """What was missed, with the kept outputs between the events that they came between."""
        outputs = deque(self._subscription.outputs)
        async for event in self._from_store(last_seq):
            while outputs and outputs[0].event.seq < event.seq:
                yield outputs.popleft().text
            yield wire.to_json(event)
        for told in outputs:
            yield told.text

    def _is_new(self, told: Told) -> bool:
        """Whether it is to be sent; it counts as sent from now on."""
        event = told.event
        if told.is_durable:
            if event.seq <= self._sent:
                return False
            self._sent = event.seq
        return self._task_id is None or self._task_id == event.task_id

    async def _from_store(self, until: int) -> AsyncIterator[Event]:
        """Durable events after the last one sent, up to ``until`` at least."""
        while self._sent < until:
            page = await self._store.events(after=self._sent, limit=_PAGE, task_id=self._task_id)
            for event in page:
                self._sent = event.seq
                yield event
            if len(page) < _PAGE:
                self._sent = max(self._sent, until)


class EventStreamHandler(EnvelopeMixin, WebSocketMixin, WebSocketHandler, JupyterHandler):
    """A websocket that tells events."""

    _feed: AsyncIterator[str] | None = None

    @ws_authenticated
    async def get(self, *args: str, **kwargs: str) -> None:
        """Let the listener in, if it may listen."""
        is_allowed = await ensure_async(
            self.authorizer.is_authorized(self, self.current_user, "execute", self.auth_resource)
        )
        if not is_allowed:
            raise HTTPError(403)
        self._query = self.query(StreamQuery)
        self._running = await self.service.running()
        reference = self._query.task
        task = await find(self._running.orchestration, reference) if reference else None
        self._task_id = task.id if task else None
        await super().get(*args, **kwargs)

    def open(self, *args: str, **kwargs: str) -> None:
        """Called by tornado when the websocket is open."""
        super().open(*args, **kwargs)
        self.set_nodelay(True)  # or else news wait for the receipt of the last ones
        self._telling = self.service.background.start(self._tell(self._running), "stream")

    def on_message(self, message: str | bytes) -> None:
        """Called by tornado; listeners have nothing to say."""

    def on_close(self) -> None:
        """Called by tornado when the listener is gone."""
        super().on_close()
        self._telling.cancel()

    async def _tell(self, running: Running) -> None:
        subscription = running.bus.subscribe(self._task_id, outputs=self._query.outputs)
        try:
            await self._send_all(running.orchestration.store, subscription)
            if subscription.is_overrun:
                self.close(_TRY_AGAIN_LATER, "too slow; come back with the last seq")
        except WebSocketClosedError:
            return  # the listener left while it was told something
        finally:
            running.bus.unsubscribe(subscription)
            self.close(_GOING_AWAY, "the server is stopping")

    async def _send_all(self, store: Store, subscription: Subscription) -> None:
        last_seq = await store.last_seq()
        hello = {"type": "hello", "seq": last_seq, "instance": self.service.instance}
        await self.write_message(wire.to_json(hello))
        feed = EventFeed(store, subscription, self._task_id)
        async for texts in feed.messages(self._query.after, last_seq):
            for message in ("\n".join(texts),) if self._query.batched else texts:
                await self.write_message(message)
