"""Connections to one server, each kept for the next request: HTTP/1.1 (RFC 9112).

tornado's client opens one for each request, which on one machine takes longer than all the rest
of it, on both sides. One that has been idle is used again only for so long as nobody on the way
can be about to close it: a request that may have arrived is never sent twice.
"""

from __future__ import annotations

import asyncio
import ssl
import zlib
from collections.abc import Mapping
from functools import cache, cached_property
from typing import NamedTuple
from urllib.parse import urlsplit

from opspawn_jupyter.client.answers import parsed_head

#: What is raised where the other side is not there, goes away or does not speak HTTP.
FAILURES = (OSError, EOFError, ValueError, asyncio.LimitOverrunError, zlib.error)
#: Proxies close what is idle after five seconds or more; nodejs's, as JupyterHub has it, is first.
IDLE_SECONDS = 4.0
_CONNECT_SECONDS = 10.0
#: Most requests at once; the others wait.
_MOST = 100
_LONGEST_HEAD_BYTES = 1 << 16
#: A report of a worker or an executed notebook may be large.
_MOST_BODY_BYTES = 1 << 30
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_GZIP = 16 + zlib.MAX_WBITS


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
        head = f"{method} {target} HTTP/1.1\r\n{self._fields}"
        if body is not None or method != "GET":
            head += f"Content-Length: {len(body or b'')}\r\n"
        request = head.encode("latin-1") + b"\r\n" + (body or b"")
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

    @cached_property
    def _fields(self) -> str:
        """Raises ``ValueError`` for one that would be read as several."""
        lines = [f"{name}: {value}" for name, value in self._headers.items()]
        if len("".join(lines).splitlines()) > 1:
            raise ValueError("its address or token has more than one line")
        return "".join(f"{line}\r\n" for line in lines)

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
        port = self._address.port or (443 if self._tls else 80)
        async with asyncio.timeout(_CONNECT_SECONDS):
            reader, writer = await asyncio.open_connection(
                self._address.hostname, port, ssl=self._tls, limit=_LONGEST_HEAD_BYTES
            )
        return _Connection(reader, writer)

    def _keep(self, connection: _Connection) -> None:
        if connection.is_open:
            connection.rest(self._idle_seconds)
            self._idle.append(connection)
        else:
            connection.close()


class _Connection:
    """One of them."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        #: The server has said that it will be closed, or did not say where its answer ends.
        self._is_last = False
        self._rest: asyncio.Future[None] | None = None

    @property
    def is_open(self) -> bool:
        """Another request can be sent."""
        is_closed = self._is_last or self._reader.at_eof() or self._writer.is_closing()
        return not is_closed

    async def exchange(self, request: bytes) -> Answer:
        """Send it and read the answer."""
        self._writer.write(request)
        status, fields = await self._head()
        while status < 200:  # a notice that the answer is on its way
            status, fields = await self._head()
        body = b"" if status in (204, 304) else await self._body(fields)
        if fields.get("content-encoding", "").lower() == "gzip":
            body = zlib.decompress(body, _GZIP)
        self._is_last = self._is_last or "close" in fields.get("connection", "").lower()
        return Answer(status, body)

    def rest(self, seconds: float) -> None:
        """Close it after so long, unless it is woken, or when its loop comes to its end: as a task
        this is cancelled then, where a client that nobody closes would leave it open."""
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
        self._writer.close()

    def _end_rest(self, rest: asyncio.Future[None]) -> None:
        if rest is self._rest:
            self._writer.close()

    async def _head(self) -> tuple[int, Mapping[str, str]]:
        head = await self._reader.readuntil(b"\r\n\r\n")
        self._is_last = self._is_last or not head.startswith(b"HTTP/1.1")
        return parsed_head(head)

    async def _body(self, fields: Mapping[str, str]) -> bytes:
        if "chunked" in fields.get("transfer-encoding", "").lower():
            return await self._chunks()
        if "content-length" in fields:
            return await self._reader.readexactly(_allowed(int(fields["content-length"])))
        self._is_last = True
        return await self._reader.read()

    async def _chunks(self) -> bytes:
        pieces: list[bytes] = []
        length = 0
        while size := int((await self._reader.readuntil(b"\r\n")).partition(b";")[0], 16):
            length = _allowed(length + size)
            pieces.append((await self._reader.readexactly(size + 2))[:size])
        while await self._reader.readuntil(b"\r\n") != b"\r\n":
            pass  # a field that comes after the body
        return b"".join(pieces)


def _allowed(length: int) -> int:
    if not 0 <= length <= _MOST_BODY_BYTES:
        raise ValueError(f"its answer has {length} bytes")
    return length


@cache
def _tls(*, verify: bool) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
