"""A request tells the server what its own caller answers, not what all of them together would.

In the modern era each request bears the capabilities of its client. The SDK writes those of the
connection, which many share; here they become those of the request's own caller.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Self

import mcp_types as types

_declared: ContextVar[Mapping[str, Any] | None] = ContextVar("declared", default=None)


@contextmanager
def declaring(capabilities: Mapping[str, Any]) -> Iterator[None]:
    """Requests within the block bear these capabilities."""
    token = _declared.set(capabilities)
    try:
        yield
    finally:
        _declared.reset(token)


class Ready:
    """Streams that are open already, as a transport of the SDK's. Their owner closes them."""

    def __init__(self, streams: Any) -> None:
        incoming, outgoing = streams
        self._streams = incoming, _Outgoing(outgoing)

    async def __aenter__(self) -> Any:
        return self._streams

    async def __aexit__(self, *_: object) -> None:
        """See the class."""


class _Outgoing:
    """The stream that requests go out by, in the context of whoever makes them."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    async def send(self, item: Any) -> None:
        declared, message = _declared.get(), item.message
        if declared is not None and isinstance(message, types.JSONRPCRequest):
            meta = (message.params or {}).get("_meta") or {}
            if types.CLIENT_CAPABILITIES_META_KEY in meta:
                meta[types.CLIENT_CAPABILITIES_META_KEY] = dict(declared)
        await self._inner.send(item)

    async def aclose(self) -> None:
        """As the stream has it; so are the others."""
        await self._inner.aclose()

    async def __aenter__(self) -> Self:
        await self._inner.__aenter__()
        return self

    async def __aexit__(self, *failure: object) -> Any:
        return await self._inner.__aexit__(*failure)
