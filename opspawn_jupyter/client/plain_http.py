"""A single request over a socket, for a process that ends with its answer.

A client with an event loop takes several times as long to import as Python takes to start, and
``http.client`` as long again. HTTP/1.0 (RFC 1945) is enough here: the answer ends where the
connection does. Only ``http://``; what is encrypted goes through ``transport``.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from opspawn_jupyter import errors
from opspawn_jupyter.client.answers import address, error_of, parsed_head
from opspawn_jupyter.client.discovery import Server

_TIMEOUT_SECONDS = 60.0
_PIECE_BYTES = 1 << 16


def get(server: Server, path: str, query: Mapping[str, Any] | None = None) -> Any:
    """The JSON answer of a route. Raises ``OpspawnError``."""
    url = urlsplit(address(server.url, path, query))
    target = url.path + (f"?{url.query}" if url.query else "")
    head = [f"GET {target} HTTP/1.0", f"Host: {url.netloc}"]
    if server.authorization:
        head.append(f"Authorization: {server.authorization}")
    try:
        request = "\r\n".join([*head, "", ""]).encode()
        answer = _exchange(url.hostname or "", url.port or 80, request)
        status, body = _parted(answer)
    except (OSError, ValueError) as failure:
        raise errors.ServerUnreachable(server.url, hint=str(failure)) from failure
    if status >= 300:
        raise error_of(status, body, server.url)
    try:
        return json.loads(body)
    except ValueError as failure:
        raise errors.ServerUnreachable(server.url, hint="its answer is not JSON") from failure


def _exchange(host: str, port: int, request: bytes) -> bytes:
    # Bytes are not looked at for letters of other alphabets, which takes another 5 ms of imports.
    name: Any = host.encode() if host.isascii() else host
    with socket.create_connection((name, port), _TIMEOUT_SECONDS) as line:
        line.sendall(request)
        return b"".join(iter(lambda: line.recv(_PIECE_BYTES), b""))


def _parted(answer: bytes) -> tuple[int, bytes]:
    """Status and body. Raises ``ValueError`` for what is no answer, or not the whole of one."""
    head, end, body = answer.partition(b"\r\n\r\n")
    if not end:
        raise ValueError("it does not answer as a web server does")
    status, fields = parsed_head(head)
    if "chunked" in fields.get("transfer-encoding", "").lower():
        body = _joined(body)
    elif len(body) < int(fields.get("content-length", 0)):
        raise ValueError("the connection was closed in the middle of its answer")
    return status, body


def _joined(chunks: bytes) -> bytes:
    """The body that was sent in chunks (RFC 9112, section 7.1), as some proxies do to anybody."""
    pieces: list[bytes] = []
    while True:
        size, _, chunks = chunks.partition(b"\r\n")
        length = int(size.partition(b";")[0], 16)
        if length == 0:
            return b"".join(pieces)
        if len(chunks) < length:
            raise ValueError("the connection was closed in the middle of its answer")
        pieces.append(chunks[:length])
        chunks = chunks[length + 2 :]
