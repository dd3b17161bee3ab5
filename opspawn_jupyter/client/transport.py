"""One request to the server, or one stream of its events; raises our errors.

tornado is what every ipykernel environment has, so the kernel side needs nothing more. All
failures of the network and all error answers become classes of ``errors`` here and nowhere else.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncGenerator, Mapping
from typing import Any

from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest, HTTPResponse
from tornado.simple_httpclient import HTTPStreamClosedError, HTTPTimeoutError

from opspawn_jupyter import errors
from opspawn_jupyter.client.answers import address, error_of

_CONNECT_TIMEOUT_SECONDS = 10.0
#: A report of a worker or an executed notebook may be large.
_MAX_BODY_BYTES = 1 << 30
#: What tornado raises where the other side is not there, goes away or does not answer.
_NETWORK_ERRORS = (OSError, ssl.SSLError, HTTPStreamClosedError, HTTPTimeoutError)


class Transport:
    """Requests to one server under one identity. Belongs to the event loop it is used in.

    ``url`` is the server's base URL (``http://127.0.0.1:8888/base/``); ``authorization`` the value
    of that header (``token …``). ``verify`` may be False only for a server of this machine.
    """

    def __init__(self, url: str, authorization: str, *, verify: bool = True) -> None:
        self.url = url.rstrip("/") + "/"
        self._headers = {"Authorization": authorization} if authorization else {}
        self._verify = verify
        self._http = AsyncHTTPClient(force_instance=True, max_body_size=_MAX_BODY_BYTES)

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
        return json.loads(answer.body) if answer.body else None

    async def download(
        self, path: str, *, query: Mapping[str, Any] | None = None, timeout_seconds: float = 300.0
    ) -> bytes:
        """The body as it is. Raises ``OpspawnError``."""
        answer = await self._fetch("GET", path, None, query, timeout_seconds)
        return answer.body

    async def stream(
        self, path: str, *, query: Mapping[str, Any] | None = None
    ) -> AsyncGenerator[dict[str, Any], None]:
        """JSON messages of a websocket until the server closes it.

        Raises ``ServerUnreachable`` where it cannot be opened or breaks, so that the caller can
        come back with the sequence number it has seen.
        """
        # Costs 20 ms to import, and only those who wait for a task need it.
        from tornado.websocket import WebSocketError, websocket_connect

        request = self._request("GET", path, None, query, None)
        request.url = request.url.replace("http", "ws", 1)
        try:
            socket = await websocket_connect(request, ping_interval=30, max_message_size=1 << 28)
            try:
                while (message := await socket.read_message()) is not None:
                    yield json.loads(message)
            finally:
                socket.close()
        except HTTPClientError as failure:
            raise _refused(failure, self.url) from failure
        except (*_NETWORK_ERRORS, WebSocketError) as failure:
            raise errors.ServerUnreachable(self.url, hint=str(failure)) from failure

    def close(self) -> None:
        """Close idle connections."""
        self._http.close()

    def _request(
        self,
        method: str,
        path: str,
        body: Any,
        query: Mapping[str, Any] | None,
        timeout_seconds: float | None,
    ) -> HTTPRequest:
        return HTTPRequest(
            address(self.url, path, query),
            method=method,
            headers={**self._headers, "Content-Type": "application/json"},
            body=json.dumps(body) if body is not None else None,
            allow_nonstandard_methods=True,
            connect_timeout=_CONNECT_TIMEOUT_SECONDS,
            request_timeout=timeout_seconds,
            validate_cert=self._verify,
            follow_redirects=False,
        )

    async def _fetch(
        self,
        method: str,
        path: str,
        body: Any,
        query: Mapping[str, Any] | None,
        timeout_seconds: float,
    ) -> HTTPResponse:
        request = self._request(method, path, body, query, timeout_seconds)
        try:
            answer = await self._http.fetch(request, raise_error=False)
        except _NETWORK_ERRORS as failure:
            raise errors.ServerUnreachable(self.url, hint=str(failure)) from failure
        if isinstance(answer.error, _NETWORK_ERRORS):
            raise errors.ServerUnreachable(self.url, hint=str(answer.error)) from answer.error
        if answer.code >= 300:
            raise error_of(answer.code, answer.body, self.url)
        return answer


def _refused(failure: HTTPClientError, url: str) -> errors.OpspawnError:
    body = failure.response.body if failure.response else b""
    return error_of(failure.code, body, url)
