"""Tells MCP clients what changed: which tools, prompts and resources there are, and what a resource
that they subscribed to holds.

A client of the modern era asks for a stream of such events. One of the older era hears of them on
the stream of its session, from the moment it is greeted, and subscribes to single resources.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import mcp_types as types
from mcp.server.lowlevel import Server
from mcp.server.subscriptions import (
    ListenHandler,
    PromptsListChanged,
    ResourcesListChanged,
    ResourceUpdated,
    ServerEvent,
    ToolsListChanged,
)
from mcp.shared.subscriptions import event_to_notification

from opspawn_jupyter.broker.broker import ToolBroker
from opspawn_jupyter.broker.connected import connected
from opspawn_jupyter.broker.endpoint import Endpoint, caller
from opspawn_jupyter.broker.ports import Change, Changed
from opspawn_jupyter.errors import OpspawnError
from opspawn_jupyter.model.tool import Principal

_SUBSCRIBED = "opspawn subscriptions"
_EVENTS: dict[Changed, ServerEvent] = {
    Changed.TOOLS: ToolsListChanged(),
    Changed.PROMPTS: PromptsListChanged(),
    Changed.RESOURCES: ResourcesListChanged(),
}


class Listening:
    """Adds itself to the endpoint's server."""

    def __init__(self, endpoint: Endpoint, broker: ToolBroker) -> None:
        self._endpoint = endpoint
        self._broker = broker
        server: Server[Any] = endpoint.server
        server.add_notification_handler(
            "notifications/initialized", types.NotificationParams, self._greet
        )
        server.add_request_handler(
            "subscriptions/listen", types.SubscriptionsListenRequestParams, self._listen
        )
        server.add_request_handler(
            "resources/subscribe", types.SubscribeRequestParams, self._subscribe
        )
        server.add_request_handler(
            "resources/unsubscribe", types.UnsubscribeRequestParams, self._unsubscribe
        )

    async def _listen(self, ctx: Any, params: types.SubscriptionsListenRequestParams) -> Any:
        principal, only = caller(ctx)
        uris = params.notifications.resource_subscriptions or ()
        async with self._watched(principal, only, uris):
            return await ListenHandler(_Heard(self._broker, principal, only))(ctx, params)

    @asynccontextmanager
    async def _watched(
        self, principal: Principal, only: str | None, uris: Sequence[str]
    ) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            for uri in dict.fromkeys(uris):
                for end in await self._watch(principal, only, uri):
                    stack.callback(end)
            yield

    async def _watch(
        self, principal: Principal, only: str | None, uri: str
    ) -> Sequence[Callable[[], object]]:
        """Have whoever holds the resource watched; it may be nobody yet."""
        ends = []
        for server in await self._endpoint.holders(principal, uri, only):
            try:
                ends.append(await self._broker.watch(principal, server, uri))
            except OpspawnError:
                continue  # it is not there now; there is nothing to hear of it
        return ends

    async def _greet(self, ctx: Any, _: types.NotificationParams) -> None:
        principal, only = caller(ctx)
        connection, session = connected(ctx), _Session(ctx.session)
        connection.state[_SUBSCRIBED] = session.subscribed
        connection.exit_stack.callback(self._broker.listen(principal, only, session.hear))
        connection.exit_stack.callback(session.close)

    async def _subscribe(self, ctx: Any, params: types.SubscribeRequestParams) -> types.EmptyResult:
        principal, only = caller(ctx)
        subscribed = connected(ctx).state.get(_SUBSCRIBED, {})
        uri = str(params.uri)
        if uri not in subscribed:
            subscribed[uri] = await self._watch(principal, only, uri)
        return types.EmptyResult()

    async def _unsubscribe(
        self, ctx: Any, params: types.UnsubscribeRequestParams
    ) -> types.EmptyResult:
        for end in connected(ctx).state.get(_SUBSCRIBED, {}).pop(str(params.uri), ()):
            end()
        return types.EmptyResult()


class _Heard:
    """The SDK's bus of events, as one caller may hear it."""

    def __init__(self, broker: ToolBroker, principal: Principal, only: str | None) -> None:
        self._broker = broker
        self._principal = principal
        self._only = only

    def subscribe(self, listener: Callable[[ServerEvent], None]) -> Callable[[], None]:
        """Called by the SDK for each stream."""
        end = self._broker.listen(self._principal, self._only, lambda c: listener(_event(c)))

        def unsubscribe() -> None:
            end()

        return unsubscribe

    async def publish(self, event: ServerEvent) -> None:
        """Events come from servers alone."""


class _Session:
    """A session of the older era."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self._telling: dict[Change, asyncio.Task[None]] = {}
        #: What ends each subscription, by address.
        self.subscribed: dict[str, Sequence[Callable[[], object]]] = {}

    def hear(self, change: Change) -> None:
        """Something changed. What is still being told is not told twice."""
        if change.what is Changed.RESOURCE and change.uri not in self.subscribed:
            return
        if change not in self._telling:
            self._telling[change] = asyncio.create_task(self._tell(change), name="mcp change")

    def close(self) -> None:
        """The session has ended."""
        for task in self._telling.values():
            task.cancel()
        for ends in self.subscribed.values():
            for end in ends:
                end()
        self.subscribed.clear()

    async def _tell(self, change: Change) -> None:
        try:
            await self._session.send_notification(event_to_notification(_event(change), {}))
        finally:
            self._telling.pop(change, None)


def _event(change: Change) -> ServerEvent:
    if change.what is Changed.RESOURCE:
        return ResourceUpdated(uri=change.uri)
    return _EVENTS[change.what]
