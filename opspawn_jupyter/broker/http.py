"""A server that is reached over HTTP: no redirects, no endless answers, no word of the caller.

What is sent is made of the configuration alone. No header of whoever calls ever comes here.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx2
from mcp.client.streamable_http import streamable_http_client

_CONNECT_SECONDS = 10.0
#: Silence on a stream of events is no fault; calls have time limits of their own.
_READ_SECONDS = 600.0


class Guard(httpx2.AsyncBaseTransport):
    """Passes requests on, refuses redirects and cuts answers off at a size."""

    def __init__(self, largest_bytes: int, forgotten: Callable[[], None]) -> None:
        self._inner = httpx2.AsyncHTTPTransport()
        self._largest_bytes = largest_bytes
        self._forgotten = forgotten
        self.fault: str | None = None

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Called by httpx for each request."""
        answer = await self._inner.handle_async_request(request)
        if answer.status_code == 404 and "mcp-session-id" in request.headers:
            self._forgotten()  # it was restarted: only a new handshake helps
        if answer.has_redirect_location:
            self.fault = f"it redirects elsewhere (status {answer.status_code}), which is refused"
            await answer.aclose()
            return httpx2.Response(502, request=request)
        is_stream = "event-stream" in answer.headers.get("content-type", "")
        if not is_stream and isinstance(answer.stream, httpx2.AsyncByteStream):
            answer.stream = _Limited(answer.stream, self)
        return answer

    def count(self, size_bytes: int) -> None:
        """Raise where an answer is too large by now."""
        if size_bytes > self._largest_bytes:
            self.fault = "it sent a message that is larger than the limit"
            raise httpx2.ReadError(self.fault)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._inner.aclose()


class _Limited(httpx2.AsyncByteStream):
    def __init__(self, inner: httpx2.AsyncByteStream, guard: Guard) -> None:
        self._inner = inner
        self._guard = guard

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size_bytes = 0
        async for chunk in self._inner:
            size_bytes += len(chunk)
            self._guard.count(size_bytes)
            yield chunk

    async def aclose(self) -> None:
        await self._inner.aclose()


@asynccontextmanager
async def reached(
    url: str,
    *,
    headers: Mapping[str, str],
    largest_message_bytes: int,
    lost: Callable[[], None],
) -> AsyncIterator[tuple[Any, Guard]]:
    """The server's streams as the SDK wants them. ``lost`` is called when it has forgotten us."""
    guard = Guard(largest_message_bytes, lost)
    timeout = httpx2.Timeout(_CONNECT_SECONDS, read=_READ_SECONDS)
    async with (
        httpx2.AsyncClient(
            transport=guard, headers=dict(headers), follow_redirects=False, timeout=timeout
        ) as client,
        streamable_http_client(
            url, http_client=client, max_sse_event_size=largest_message_bytes
        ) as streams,
    ):
        yield streams, guard
