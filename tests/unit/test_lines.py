"""Lines over a stream socket."""

from __future__ import annotations

import asyncio
import socket

import pytest

from opspawn_jupyter import lines
from opspawn_jupyter.lines import Lines


class Ear:
    """Hears what comes over a socket whose other end the test holds."""

    def __init__(self) -> None:
        self.heard: list[list[bytes]] = []
        self.has_news = asyncio.Event()
        self.is_lost = asyncio.Event()
        self.lines = Lines(self._hear, self.is_lost.set)
        self.other, self._own = socket.socketpair()

    async def open(self) -> None:
        loop = asyncio.get_running_loop()
        await loop.create_unix_connection(lambda: self.lines, sock=self._own)

    def _hear(self, some: object) -> None:
        self.heard.append(list(some))  # type: ignore[call-overload]
        self.has_news.set()

    async def send(self, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self.other, data)


def run(story: object) -> None:
    async def main() -> None:
        ear = Ear()
        ear.other.setblocking(False)
        await ear.open()
        with ear.other:
            async with asyncio.timeout(60):
                await story(ear)  # type: ignore[operator]
        ear.lines.close()
        async with asyncio.timeout(60):
            await ear.is_lost.wait()

    asyncio.run(main())


def test_lines_that_come_together_are_told_together() -> None:
    """So that a worker writes down many events as it does one."""

    async def story(ear: Ear) -> None:
        await ear.send(b"one\ntwo\n\nthr")
        await ear.has_news.wait()
        assert ear.heard == [[b"one", b"two", b""]]
        ear.has_news.clear()
        await ear.send(b"ee\n")
        await ear.has_news.wait()
        assert ear.heard[1:] == [[b"three"]]

    run(story)


def test_a_line_may_come_in_any_pieces() -> None:
    """The system cuts what is sent where it likes."""

    async def story(ear: Ear) -> None:
        for piece in (b"a" * 300_000, b"b" * 300_000, b"\nrest"):
            sending = asyncio.ensure_future(ear.send(piece))
            await sending
        await ear.has_news.wait()
        assert ear.heard == [[b"a" * 300_000 + b"b" * 300_000]]

    run(story)


def test_a_line_without_end_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever speaks without end must not fill the memory."""
    monkeypatch.setattr(lines, "LINE_LIMIT", 1000)

    async def story(ear: Ear) -> None:
        await ear.send(b"x" * 1001)
        await ear.is_lost.wait()
        assert not ear.lines.is_open
        ear.lines.say(b"nobody hears it\n")
        assert ear.heard == []

    run(story)


def test_the_end_of_the_other_side_is_told() -> None:
    """It is how a death is noticed."""

    async def story(ear: Ear) -> None:
        ear.lines.say(b"good bye\n")
        assert await asyncio.get_running_loop().sock_recv(ear.other, 100) == b"good bye\n"
        await ear.send(b"half a li")
        ear.other.shutdown(socket.SHUT_RDWR)
        await ear.is_lost.wait()
        assert ear.heard == []

    run(story)


def test_last_words_are_heard_where_the_end_is_noticed_by_speaking() -> None:
    """A runner may end with its outcome told while its worker tells it of a cancel: both come to
    light at once, and the outcome counts."""

    async def story(ear: Ear) -> None:
        ear.other.send(b"the outcome\n" + b"x" * 70_000 + b"\nno li")
        ear.other.close()
        ear.lines.say(b"cancel\n")
        await ear.is_lost.wait()
        assert [line for some in ear.heard for line in some] == [b"the outcome", b"x" * 70_000]

    run(story)


def test_an_end_is_told_where_the_other_side_only_reads_no_more() -> None:
    """There is nothing to wait for on a line on which nothing can be said."""

    async def story(ear: Ear) -> None:
        ear.other.shutdown(socket.SHUT_RD)
        ear.lines.say(b"cancel\n")
        await ear.is_lost.wait()

    run(story)


def test_who_listens_late_hears_of_an_end_that_has_come() -> None:
    """A runner may die between two attempts, and nobody must wait for it."""

    async def story(ear: Ear) -> None:
        ear.other.shutdown(socket.SHUT_RDWR)
        await ear.is_lost.wait()
        is_told = asyncio.Event()
        ear.lines.listen(ear.heard.append, is_told.set)
        await is_told.wait()

    run(story)


def test_a_line_on_which_something_has_come_is_not_quiet() -> None:
    """So a runner that has died is known before the event loop has heard of it."""

    async def story(ear: Ear) -> None:
        assert ear.lines.is_quiet
        ear.other.send(b"x")
        assert not ear.lines.is_quiet
        ear.lines.leave()
        ear.other.shutdown(socket.SHUT_RDWR)
        ear.lines.close()
        assert not ear.lines.is_quiet
        ear.is_lost.set()

    run(story)
