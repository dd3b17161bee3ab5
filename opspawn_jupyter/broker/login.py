"""Logins that a person has to make: who waits for one, and what the person's browser brings back.

A login is begun by a connection that a server did not let in, and ends here: with the browser that
comes back with the right ``state`` (RFC 6749 section 10.12), once, and for the user that it was
begun for; with a refusal; or with the end of the time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

from opspawn_jupyter.broker.ports import Arrival, Connection, People
from opspawn_jupyter.errors import NotAuthorized, NotFound, ToolLoginNeeded
from opspawn_jupyter.model.tool import Principal

_CLOSE_SECONDS = 1.0


@dataclass(frozen=True, kw_only=True)
class _Waiting:
    principal: Principal
    server: str
    arrived: asyncio.Future[Arrival]
    outcome: asyncio.Future[str]


class Logins:
    """Those that are waited for, by their ``state``."""

    def __init__(self, people: People | None) -> None:
        self.people = people
        self._waiting: dict[str, _Waiting] = {}
        self._asking: set[asyncio.Task[None]] = set()

    async def await_person(
        self, principal: Principal, server: str, url: str, timeout_seconds: float
    ) -> Arrival:
        """What the person's browser comes back with. Raises ``ToolLoginNeeded``."""
        if self.people is None:
            raise ToolLoginNeeded(server, hint="nobody can be asked here")
        loop = asyncio.get_running_loop()
        arrived: asyncio.Future[Arrival] = loop.create_future()
        outcome: asyncio.Future[str] = loop.create_future()
        # A task of its own: the connection may be cancelled, and the question is to be withdrawn.
        asking = loop.create_task(self.people.log_in(principal, server, url, outcome))
        self._asking.add(asking)
        asking.add_done_callback(self._asking.discard)
        waiting = _Waiting(principal=principal, server=server, arrived=arrived, outcome=outcome)
        with self._expecting(_state_of(url), waiting):
            either: set[asyncio.Future[Any]] = {arrived, asking}
            await asyncio.wait(either, timeout=timeout_seconds, return_when=asyncio.FIRST_COMPLETED)
        return _given(waiting, asking, timeout_seconds)

    def arrive(
        self, principal: Principal, state: str, *, code: str, issuer: str | None, problem: str
    ) -> tuple[str, asyncio.Future[str]]:
        """A browser came back: the server that it is about, and what will come of it. Raises
        ``NotFound`` for a login that nobody waits for, ``NotAuthorized`` for another's."""
        waiting = self._waiting.get(state)
        if waiting is None or waiting.arrived.done():
            hint = "this login is over or was never begun; begin again with `opspawn tools`"
            raise NotFound(hint=hint)
        if waiting.principal.user != principal.user:
            raise NotAuthorized(hint="somebody else began this login, and has to finish it")
        arrival = Arrival(
            state=state, code=code, issuer=issuer, problem=problem, outcome=waiting.outcome
        )
        waiting.arrived.set_result(arrival)
        return waiting.server, waiting.outcome

    async def close(self) -> None:
        """Nobody waits any more."""
        for waiting in self._waiting.values():
            _settle(waiting.outcome, "the server is stopping")
        if self._asking:
            await asyncio.wait(self._asking, timeout=_CLOSE_SECONDS)
        for asking in self._asking:
            asking.cancel()

    @contextmanager
    def _expecting(self, state: str, waiting: _Waiting) -> Iterator[None]:
        self._waiting[state] = waiting
        try:
            yield
        finally:
            del self._waiting[state]
            if not waiting.arrived.done():
                _settle(waiting.outcome, "nobody waits for it any more")


class Gate:
    """The callers of one connection before a login: some wait for it, the others are told."""

    def __init__(self, server: str) -> None:
        self._server = server
        self._waiting = 0
        #: Where to log in, while somebody is asked to.
        self.url = ""
        #: Why there is no connection, where that is for want of a login.
        self.problem: str | None = None
        self._changed = asyncio.Event()

    @property
    def is_waited_at(self) -> bool:
        """Whether anybody is there for whom a person may be asked."""
        return self._waiting > 0

    @property
    def needed(self) -> ToolLoginNeeded:
        """What callers are told that do not wait."""
        if self.url:
            return ToolLoginNeeded(self._server, hint=f"open {self.url} and log in")
        return ToolLoginNeeded.restore(self.problem or "", {})

    @contextmanager
    def asked(self, url: str) -> Iterator[None]:
        """Somebody is asked to log in there, for the length of a block."""
        self.url = url
        self._changed.set()
        try:
            yield
        finally:
            self.url = ""
            self._changed.clear()

    async def passed(self, opening: asyncio.Future[Connection], *, waits: bool) -> Connection:
        """The connection, once it is open. Raises why there is none."""
        if waits:
            with self.waited_at():
                return await asyncio.shield(opening)
        await self.told(opening)
        if opening.done():
            return opening.result()
        raise self.needed

    @contextmanager
    def waited_at(self) -> Iterator[None]:
        """Somebody is there for whom a person may be asked, for the length of a block."""
        self._waiting += 1
        try:
            yield
        finally:
            self._waiting -= 1

    async def told(self, opening: asyncio.Future[Connection]) -> None:
        """Wait until the connection is open, or has failed, or somebody is asked to log in."""
        changed = asyncio.ensure_future(self._changed.wait())
        try:
            either: set[asyncio.Future[Any]] = {opening, changed}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        finally:
            changed.cancel()


def _state_of(url: str) -> str:
    return "".join(parse_qs(urlsplit(url).query).get("state", ()))


def _given(waiting: _Waiting, asking: asyncio.Task[None], timeout_seconds: float) -> Arrival:
    if waiting.arrived.done():
        return waiting.arrived.result()
    if asking.done() and not asking.cancelled():
        asking.result()  # raises where nobody could be asked
        raise ToolLoginNeeded(waiting.server, hint="the answer was no")
    seconds = f"{timeout_seconds:g} seconds"
    raise ToolLoginNeeded(waiting.server, hint=f"nobody logged in within {seconds}")


def _settle(outcome: asyncio.Future[str], problem: str) -> None:
    with suppress(asyncio.InvalidStateError):
        outcome.set_result(problem)
