"""A server that is reached over HTTP: no redirects, no endless answers, no word of the caller.

What is sent is made of the configuration alone, and of what a login gave. No header of whoever
calls ever comes here. Where a login leads is the server's word, so it is watched as well.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from ipaddress import ip_address
from typing import Any

import httpx2
from mcp.client.streamable_http import streamable_http_client

from opspawn_jupyter.errors import ToolLoginNeeded, ToolServerFault

_CONNECT_SECONDS = 10.0
#: Silence on a stream of events is no fault; calls have time limits of their own.
_READ_SECONDS = 600.0
#: JSON-RPC's code (in the range that is free for servers) for a login that came to nothing.
LOGIN_REFUSED = -32_041


class Guard(httpx2.AsyncBaseTransport):
    """Passes requests on, refuses redirects and cuts answers off at a size."""

    def __init__(self, url: str, largest_bytes: int, forgotten: Callable[[], None]) -> None:
        self._inner = httpx2.AsyncHTTPTransport()
        self._url = httpx2.URL(url)
        self._largest_bytes = largest_bytes
        self._forgotten = forgotten
        self.fault: str | None = None
        #: Set by whoever greeted the server: from now on a login that fails is one request's.
        self.is_open = False

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Called by httpx for each request."""
        if request.url == self._url:
            return await self._of_server(request)
        if not may_lead(self._url, request.url):
            return httpx2.Response(404, request=request)
        answer = await self._inner.handle_async_request(request)
        if answer.has_redirect_location:
            await answer.aclose()
            return httpx2.Response(404, request=request)
        return self._limited(answer)

    async def _of_server(self, request: httpx2.Request) -> httpx2.Response:
        answer = await self._inner.handle_async_request(request)
        if answer.status_code == 404 and "mcp-session-id" in request.headers:
            self._forgotten()  # it was restarted: only a new handshake helps
        if answer.has_redirect_location:
            self.fault = f"it redirects elsewhere (status {answer.status_code}), which is refused"
            await answer.aclose()
            return httpx2.Response(502, request=request)
        return self._limited(answer)

    def _limited(self, answer: httpx2.Response) -> httpx2.Response:
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


class _Client(httpx2.AsyncClient):
    """A login that fails fails its own request, not the connection and all that goes on in it."""

    def __init__(self, guard: Guard, **more: Any) -> None:
        super().__init__(transport=guard, **more)
        self._guard = guard

    async def send(self, request: httpx2.Request, **more: Any) -> httpx2.Response:
        """Called for each request."""
        try:
            return await super().send(request, **more)
        except (ToolLoginNeeded, ToolServerFault) as refusal:
            if not self._guard.is_open:
                raise
            error = {"code": LOGIN_REFUSED, "message": refusal.message, "data": refusal.code}
            said = {"jsonrpc": "2.0", "id": None, "error": error}
            return httpx2.Response(403, request=request, json=said)


def may_lead(server: httpx2.URL, url: httpx2.URL) -> bool:
    """Whether a login may lead from the server to this address: not from an encrypted one to one
    that is not, and not from the world into the networks that only this machine reaches."""
    if url.scheme not in ("https", server.scheme):
        return False
    return _is_inside(server.host) or not _is_inside(url.host)


def _is_inside(host: str) -> bool:
    try:
        return not ip_address(host).is_global
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


@asynccontextmanager
async def reached(
    url: str,
    *,
    auth: httpx2.Auth | None,
    headers: Mapping[str, str],
    largest_message_bytes: int,
    lost: Callable[[], None],
) -> AsyncIterator[tuple[Any, Guard]]:
    """The server's streams as the SDK wants them. ``lost`` is called when it has forgotten us."""
    guard = Guard(url, largest_message_bytes, lost)
    timeout = httpx2.Timeout(_CONNECT_SECONDS, read=_READ_SECONDS)
    async with (
        _Client(
            guard, auth=auth, headers=dict(headers), follow_redirects=False, timeout=timeout
        ) as client,
        streamable_http_client(
            url, http_client=client, max_sse_event_size=largest_message_bytes
        ) as streams,
    ):
        yield streams, guard
