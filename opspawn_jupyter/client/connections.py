"""Connections to one server, each kept for the next request.

tornado's client opens one for each, which on one machine takes longer than all the rest of a
request, on both sides; so the same connections are used here one level below it. One that has been
idle is used again only for so long as nobody on the way can be about to close it: a request that
may have arrived is never sent twice.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from functools import cache, cached_property
from typing import NamedTuple
from urllib.parse import urlsplit

from tornado.http1connection import HTTP1Connection, HTTP1ConnectionParameters
from tornado.httputil import HTTPHeaders, HTTPMessageDelegate, ResponseStartLine
from tornado.iostream import IOStream
from tornado.tcpclient import TCPClient

#: What is raised where the other side is not there, goes away or does not speak HTTP.
FAILURES = (OSError, ValueError)
#: Proxies close what is idle after five seconds or more; nodejs's, as JupyterHub has it, is first.
IDLE_SECONDS = 4.0
_CONNECT_SECONDS = 10.0
#: Most requests at once; the others wait.
_MOST = 100
#: A report of a worker or an executed notebook may be large.
_PARAMETERS = HTTP1ConnectionParameters(max_body_size=1 << 30, decompress=True)
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


class Answer(NamedTuple):
    """What came back."""

    status: int
    body: bytes


class Connections:
    """Those to the server of a URL. Belongs to the event loop it is used in."""

    def __init__(
        self, url: str, headers: Mapping[str, str], *, verify: bool, idle_seconds: float
    ) -> None:
        self._address = urlsplit(url)
        self._tls = _tls(verify=verify) if self._address.scheme == "https" else None
        # Between processes of one machine it takes longer to compress than to send.
        zipped = {} if self._address.hostname in _LOOPBACK else {"Accept-Encoding": "gzip"}
        self._headers = {"Host": self._address.netloc, **headers, **zipped}
        self._idle_seconds = idle_seconds
        self._idle: list[_Connection] = []
        self._room = asyncio.Semaphore(_MOST)

    async def exchange(self, method: str, target: str, body: bytes | None) -> Answer:
        """The answer to one request. Raises one of ``FAILURES``."""
        request = self._request(method, target, body)
        async with self._room:
            connection = self._from_idle() or await self._open()
            try:
                answer = await connection.exchange(request)
            except BaseException:
                connection.close()  # also where the caller gave up: an answer may still come
                raise
            self._keep(connection)
        return answer

    def close(self) -> None:
        """Close idle connections."""
        while self._idle:
            self._idle.pop().close()

    def _request(self, method: str, target: str, body: bytes | None) -> bytes:
        """A request as it is sent. Raises ``ValueError``."""
        if len(target.splitlines()) > 1:
            raise ValueError("its address has more than one line")
        start = f"{method} {target} HTTP/1.1\r\n{self._header_lines}"
        if body is None and method == "GET":
            return f"{start}\r\n".encode("latin-1")
        content = body or b""
        return f"{start}Content-Length: {len(content)}\r\n\r\n".encode("latin-1") + content

    @cached_property
    def _header_lines(self) -> str:
        """Those that are the same in all requests."""
        if any(len(value.splitlines()) > 1 for value in self._headers.values()):
            raise ValueError("its address or token has more than one line")
        return "".join(f"{name}: {value}\r\n" for name, value in self._headers.items())

    def _from_idle(self) -> _Connection | None:
        """The one that was used last."""
        while self._idle:
            connection = self._idle.pop()
            connection.wake()
            if connection.is_open:
                return connection
            connection.close()
        return None

    async def _open(self) -> _Connection:
        host = self._address.hostname or ""
        port = self._address.port or (443 if self._tls else 80)
        async with asyncio.timeout(_CONNECT_SECONDS):
            stream = await TCPClient().connect(host, port, ssl_options=self._tls)
        return _Connection(stream)

    def _keep(self, connection: _Connection) -> None:
        if connection.is_open:
            connection.rest(self._idle_seconds)
            self._idle.append(connection)
        else:
            connection.close()


class _Connection:
    """One of them."""

    def __init__(self, stream: IOStream) -> None:
        stream.set_nodelay(True)
        self._stream = stream
        self._is_last = False
        self._rest: asyncio.Future[None] | None = None

    @property
    def is_open(self) -> bool:
        """Another request can be sent."""
        return not (self._is_last or self._stream.closed())

    async def exchange(self, request: bytes) -> Answer:
        """Send a request and read the answer."""
        reading = _Reading()
        line = HTTP1Connection(self._stream, is_client=True, params=_PARAMETERS)
        # Not by the line: to make a request of its parts takes it longer than all else here.
        sent = self._stream.write(request)
        line.finish()
        if not sent.done():
            self._stream.set_nodelay(True)  # the line lets the last piece wait for a receipt
        await line.read_response(reading)
        self._is_last = reading.is_last
        return reading.answer

    def rest(self, seconds: float) -> None:
        """Close it after so long, unless it is woken, or when its loop comes to its end: as a task
        this is cancelled then, where a client that nobody closes would leave it open."""
        self._stream.set_close_callback(lambda: None)  # so that it is noticed
        self._rest = asyncio.ensure_future(asyncio.sleep(seconds))
        self._rest.add_done_callback(self._end_rest)

    def wake(self) -> None:
        """It is to be used."""
        rest, self._rest = self._rest, None
        if rest is not None:
            rest.cancel()

    def close(self) -> None:
        """Hang up."""
        self.wake()
        self._stream.close()

    def _end_rest(self, rest: asyncio.Future[None]) -> None:
        if rest is self._rest:
            self._stream.close()


class _Reading(HTTPMessageDelegate):
    """Takes one answer as it comes."""

    def __init__(self) -> None:
        #: The server has said that the connection will be closed.
        self.is_last = False
        self._status = 0
        self._pieces: list[bytes] = []
        self._is_whole = False

    @property
    def answer(self) -> Answer:
        """All of it. Raises ``ConnectionError`` where there is no more than a part."""
        if not self._is_whole:
            raise ConnectionError("the connection was closed in the middle of its answer")
        return Answer(self._status, b"".join(self._pieces))

    def headers_received(  # type: ignore[override]  # a client's first line is an answer's
        self, start_line: ResponseStartLine, headers: HTTPHeaders
    ) -> None:
        """See ``HTTPMessageDelegate``. Called for a notice that an answer is coming, too."""
        self._status = start_line.code
        self.is_last = (
            start_line.version != "HTTP/1.1" or "close" in headers.get("Connection", "").lower()
        )

    def data_received(self, chunk: bytes) -> None:
        """See ``HTTPMessageDelegate``."""
        self._pieces.append(chunk)

    def finish(self) -> None:
        """See ``HTTPMessageDelegate``."""
        self._is_whole = True


@cache
def _tls(*, verify: bool) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
