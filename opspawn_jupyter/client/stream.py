"""JSON messages over a websocket.

Apart from all other requests because tornado takes 20 ms to import, and only those who wait for a
task need it. It is what every ipykernel environment has, so the kernel side needs nothing more.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncGenerator, Mapping
from typing import Any

from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.simple_httpclient import HTTPStreamClosedError, HTTPTimeoutError
from tornado.websocket import WebSocketError, websocket_connect

from opspawn_jupyter import errors
from opspawn_jupyter.client.answers import error_of

_CONNECT_TIMEOUT_SECONDS = 10.0
_PING_SECONDS = 30.0
_MOST_MESSAGE_BYTES = 1 << 28
#: What tornado raises where the other side is not there, goes away or does not answer.
_NETWORK_ERRORS = (OSError, ssl.SSLError, HTTPStreamClosedError, HTTPTimeoutError, WebSocketError)


async def messages(
    url: str, headers: Mapping[str, str], *, verify: bool, server: str
) -> AsyncGenerator[dict[str, Any], None]:
    """See ``Transport.stream``. A message may hold several, one a line. Errors name ``server``."""
    request = HTTPRequest(
        url.replace("http", "ws", 1),
        headers=dict(headers),
        connect_timeout=_CONNECT_TIMEOUT_SECONDS,
        request_timeout=None,
        validate_cert=verify,
        follow_redirects=False,
    )
    try:
        socket = await websocket_connect(
            request, ping_interval=_PING_SECONDS, max_message_size=_MOST_MESSAGE_BYTES
        )
        try:
            while (message := await socket.read_message()) is not None:
                for event in told(message):
                    yield event
        finally:
            socket.close()
    except HTTPClientError as failure:
        body = failure.response.body if failure.response else b""
        raise error_of(failure.code, body, server) from failure
    except _NETWORK_ERRORS as failure:
        raise errors.ServerUnreachable(server, hint=str(failure)) from failure


def told(message: str | bytes) -> list[dict[str, Any]]:
    """All that a message holds, read in one go: line by line it takes twice as long. No line of
    JSON has the end of a line inside."""
    text = message if isinstance(message, str) else message.decode()
    events: list[dict[str, Any]] = json.loads("[" + text.strip().replace("\n", ",") + "]")
    return events
