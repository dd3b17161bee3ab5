"""What MCP clients of the older era were told lately, for those whose stream broke.

They come again with the name of what they heard last and are told the rest. Each session's messages
are kept apart, in memory, and only so many: a client that was away for longer asks again.
"""

from __future__ import annotations

from collections import OrderedDict
from itertools import count
from typing import Any

from mcp.server.streamable_http import EventCallback, EventMessage, EventStore
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp_types import JSONRPCMessage

#: Messages of one session, and their size.
_MOST_EVENTS = 500
_MOST_BYTES = 8 << 20
_RETRY_MILLISECONDS = 500


class Sessions(StreamableHTTPSessionManager):
    """Sessions of which none can be told what another was."""

    def __init__(self, server: Any, most_sessions: int) -> None:
        super().__init__(app=server, max_sessions=most_sessions, retry_interval=_RETRY_MILLISECONDS)

    @property
    def event_store(self) -> EventStore | None:
        """Read by the SDK for each new session. It names streams by the requests' ids, which are
        the same in all sessions, so that one store for all would mix them up."""
        return Replay()

    @event_store.setter
    def event_store(self, value: EventStore | None) -> None:
        """The SDK would keep one for all."""


class Replay(EventStore):
    """See the SDK's ``EventStore``."""

    def __init__(self) -> None:
        self._numbers = count(1)
        self._kept: OrderedDict[str, tuple[str, JSONRPCMessage | None, int]] = OrderedDict()
        self._size_bytes = 0

    async def store_event(self, stream_id: str, message: JSONRPCMessage | None) -> str:
        """Called for each message before it is sent."""
        name = str(next(self._numbers))
        size = len(message.model_dump_json()) if message is not None else 0
        self._kept[name] = (stream_id, message, size)
        self._size_bytes += size
        while len(self._kept) > _MOST_EVENTS or self._size_bytes > _MOST_BYTES:
            _, (_, _, gone) = self._kept.popitem(last=False)
            self._size_bytes -= gone
        return name

    async def replay_events_after(
        self, last_event_id: str, send_callback: EventCallback
    ) -> str | None:
        """Called for a client that comes again."""
        last = self._kept.get(last_event_id)
        if last is None:
            return None
        missed = [
            (name, message)
            for name, (stream, message, _) in self._kept.items()
            if stream == last[0] and int(name) > int(last_event_id) and message is not None
        ]
        for name, message in missed:
            await send_callback(EventMessage(message, name))
        return last[0]
