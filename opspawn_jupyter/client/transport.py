"""One request to the server, or one stream of its events; raises our errors.

All failures of the network and all error answers become classes of ``errors`` here and in
``stream``, and nowhere else.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any
from urllib.parse import urlsplit

from opspawn_jupyter import errors
from opspawn_jupyter.client.answers import address, error_of
from opspawn_jupyter.client.connections import FAILURES, IDLE_SECONDS, Connections


class Transport:
    """Requests to one server under one identity. Belongs to the event loop it is used in.

    ``url`` is the server's base URL (``http://127.0.0.1:8888/base/``); ``authorization`` the value
    of that header (``token …``). ``verify`` may be False only for a server of this machine;
    ``idle_seconds`` may be longer where there is no proxy on the way.
    """

    def __init__(
        self,
        url: str,
        authorization: str,
        *,
        verify: bool = True,
        idle_seconds: float = IDLE_SECONDS,
    ) -> None:
        self.url = url.rstrip("/") + "/"
        self._base = urlsplit(self.url).path
        self._headers = {"Authorization": authorization} if authorization else {}
        self._headers["Content-Type"] = "application/json"
        self._verify = verify
        self._connections = Connections(
            self.url, self._headers, verify=verify, idle_seconds=idle_seconds
        )

    async def call(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        query: Mapping[str, Any] | None = None,
        timeout_seconds: float = 60.0,
    ) -> Any:
        """The JSON answer; None for an empty one. Raises ``OpspawnError``."""
        answer = await self._fetch(method, path, body, query, timeout_seconds)
        return json.loads(answer) if answer else None

    async def download(
        self, path: str, *, query: Mapping[str, Any] | None = None, timeout_seconds: float = 300.0
    ) -> bytes:
        """The body as it is. Raises ``OpspawnError``."""
        return await self._fetch("GET", path, None, query, timeout_seconds)

    async def stream(
        self, path: str, *, query: Mapping[str, Any] | None = None
    ) -> AsyncGenerator[dict[str, Any], None]:
        """JSON messages of a websocket until the server closes it.

        Raises ``ServerUnreachable`` where it cannot be opened or breaks, so that the caller can
        come back with the sequence number it has seen.
        """
        # Not at the top: see there.
        from opspawn_jupyter.client.stream import messages

        url = address(self.url, path, query)
        told = messages(url, self._headers, verify=self._verify, server=self.url)
        async with aclosing(told) as each:
            async for message in each:
                yield message

    def close(self) -> None:
        """Close idle connections."""
        self._connections.close()

    async def _fetch(
        self,
        method: str,
        path: str,
        body: Any,
        query: Mapping[str, Any] | None,
        timeout_seconds: float,
    ) -> bytes:
        target = address(self._base, path, query)
        data = json.dumps(body).encode() if body is not None else None
        try:
            async with asyncio.timeout(timeout_seconds):
                answer = await self._connections.exchange(method, target, data)
        except FAILURES as failure:
            hint = str(failure) or "it did not answer in time"
            raise errors.ServerUnreachable(self.url, hint=hint) from failure
        if answer.status >= 300:
            raise error_of(answer.status, answer.body, self.url)
        return answer.body
