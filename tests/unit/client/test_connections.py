"""Requests over connections that stay, as every client and every worker makes them."""

from __future__ import annotations

import asyncio
import gc
import gzip
from collections.abc import Awaitable, Callable
from typing import Self

import pytest

from jupyter_process import PATIENCE_SECONDS
from opspawn_jupyter import errors
from opspawn_jupyter.client.connections import FAILURES, Connections
from opspawn_jupyter.client.transport import Transport

#: Without the time, which would give the tests of two processes different names.
_ZIPPED = gzip.compress(b"zipped", mtime=0)
_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnull"


class Answering:
    """A server that gives each request the next of these answers; the last one again and again.

    After an answer without a body's length, and one that says so, it hangs up.
    """

    def __init__(self, *answers: bytes) -> None:
        self._answers = list(answers)
        self._server: asyncio.Server | None = None
        self.url = ""
        #: By connection, what was asked on it.
        self.asked: list[list[bytes]] = []
        self.hung_up = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/base/"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()  # not waited for: since Python 3.12 that would be for clients, too

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests: list[bytes] = []
        self.asked.append(requests)
        try:
            while head := await self._head(reader):
                requests.append(head)
                answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
                writer.write(answer)
                if not answer or b"Length" not in answer or b"close" in answer:
                    break
        finally:
            writer.close()
            self.hung_up.set()

    @staticmethod
    async def _head(reader: asyncio.StreamReader) -> bytes:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return b""
        for line in head.split(b"\r\n"):
            if line.startswith(b"Content-Length: "):
                await reader.readexactly(int(line.partition(b": ")[2]))
        return head


def _with(
    ask: Callable[[Connections, Answering], Awaitable[None]],
    *answers: bytes,
    idle_seconds: float = 60.0,
) -> Answering:
    """What the server saw while ``ask`` was made."""

    async def run() -> Answering:
        async with Answering(*answers) as server:
            connections = Connections(server.url, {}, verify=True, idle_seconds=idle_seconds)
            try:
                await ask(connections, server)
            finally:
                connections.close()
            return server

    return asyncio.run(asyncio.wait_for(run(), PATIENCE_SECONDS))


def test_a_connection_serves_one_request_after_the_other() -> None:
    """To open one takes longer than all the rest of a request on one machine."""

    async def ask(connections: Connections, _: Answering) -> None:
        for _ in range(3):
            assert (await connections.exchange("GET", "/x", None)).body == b"null"
        await connections.exchange("POST", "/y", b'{"a": 1}')

    assert [len(requests) for requests in _with(ask, _OK).asked] == [4]


def test_requests_at_once_each_have_their_own_connection() -> None:
    """An answer can never be taken for that to another request."""

    async def ask(connections: Connections, _: Answering) -> None:
        await asyncio.gather(*(connections.exchange("GET", "/", None) for _ in range(3)))

    assert [len(requests) for requests in _with(ask, _OK).asked] == [1, 1, 1]


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi", b"hi"),
        (b"HTTP/1.1 200 OK\r\n\r\nuntil the end", b"until the end"),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", b"hi"),
    ],
)
def test_a_connection_that_the_server_ends_is_not_used_again(answer: bytes, body: bytes) -> None:
    async def ask(connections: Connections, _: Answering) -> None:
        assert (await connections.exchange("GET", "/", None)).body == body
        assert (await connections.exchange("GET", "/", None)).body == b"null"

    assert [len(requests) for requests in _with(ask, answer, _OK).asked] == [1, 1]


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (b"HTTP/1.1 204 No Content\r\nX-Length: none\r\n\r\n", b""),
        (
            (
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-Length: none\r\n\r\n"
                b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
            ),
            b"abcde",
        ),
        (
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
            b"hi",
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%b"
            % (len(_ZIPPED), _ZIPPED),
            b"zipped",
        ),
    ],
)
def test_an_answer_is_read_to_its_end_and_no_further(answer: bytes, body: bytes) -> None:
    """Some proxies send in chunks what the server did not."""

    async def ask(connections: Connections, _: Answering) -> None:
        assert (await connections.exchange("GET", "/", None)).body == body
        assert (await connections.exchange("GET", "/", None)).body == b"null"

    assert [len(requests) for requests in _with(ask, answer, _OK).asked] == [2]


def test_an_idle_connection_is_closed_after_its_time() -> None:
    """Nobody on the way may be about to close it when the next request goes."""

    async def ask(connections: Connections, server: Answering) -> None:
        await connections.exchange("GET", "/", None)
        await server.hung_up.wait()
        await connections.exchange("GET", "/", None)

    assert [len(requests) for requests in _with(ask, _OK, idle_seconds=0.01).asked] == [1, 1]


@pytest.mark.filterwarnings("error")
def test_a_client_that_nobody_closes_leaves_nothing_open() -> None:
    """Programs end, and tests do."""

    async def run() -> None:
        async with Answering(_OK) as server:
            await Connections(server.url, {}, verify=True, idle_seconds=60).exchange(
                "GET", "/", None
            )

    asyncio.run(asyncio.wait_for(run(), 30))
    gc.collect()


def test_a_request_that_may_have_arrived_is_not_sent_again() -> None:
    """A submission that were sent twice would run twice."""

    async def ask(connections: Connections, _: Answering) -> None:
        await connections.exchange("POST", "/", b"{}")
        with pytest.raises(FAILURES):
            await connections.exchange("POST", "/", b"{}")

    assert [len(requests) for requests in _with(ask, _OK, b"", _OK).asked] == [2]


def test_a_caller_who_gives_up_hangs_up() -> None:
    """The server hands nothing out any more on a request that nobody waits for."""

    async def ask(connections: Connections, server: Answering) -> None:
        waiting = asyncio.ensure_future(connections.exchange("GET", "/", None))
        while not server.asked or not server.asked[0]:  # noqa: ASYNC110  (asked by another task)
            await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await server.hung_up.wait()

    held_back = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"
    assert [len(requests) for requests in _with(ask, held_back).asked] == [1]


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"HTTP/1.1 what\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\nConnection: close\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nhi",
        b"",
    ],
)
def test_what_is_no_answer_is_a_server_that_cannot_be_reached(answer: bytes) -> None:
    async def run() -> None:
        async with Answering(answer) as server:
            transport = Transport(server.url, "token t")
            try:
                with pytest.raises(errors.ServerUnreachable, match="base"):
                    await transport.call("GET", "tasks")
            finally:
                transport.close()

    asyncio.run(asyncio.wait_for(run(), PATIENCE_SECONDS))


def test_an_answer_that_does_not_come_in_time_is_told_as_that() -> None:
    async def run() -> None:
        async with Answering(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n") as server:
            transport = Transport(server.url, "token t")
            with pytest.raises(errors.ServerUnreachable, match="did not answer in time"):
                await transport.call("GET", "tasks", timeout_seconds=0.05)

    asyncio.run(asyncio.wait_for(run(), PATIENCE_SECONDS))


def test_a_token_cannot_add_lines_to_a_request() -> None:
    """It comes from environment variables and from files, often with a line's end."""

    async def run() -> None:
        transport = Transport("http://127.0.0.1:1/", "token t\r\nX-Other: 1")
        with pytest.raises(errors.ServerUnreachable, match="more than one line") as raised:
            await transport.call("GET", "tasks")
        assert "X-Other" not in str(raised.value)

    asyncio.run(run())


@pytest.mark.parametrize("url", ["http://127.0.0.1:x/", "http://127.0.0.1:99999/"])
def test_an_address_that_is_none_cannot_be_reached(url: str) -> None:
    async def run() -> None:
        with pytest.raises(errors.ServerUnreachable):
            await Transport(url, "").call("GET", "tasks")

    asyncio.run(run())
