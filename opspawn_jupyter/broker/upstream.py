"""One upstream server: started with the first use, kept open, opened again when it was lost.

One task owns the connection, from entering it to leaving it (anyio's rule: a connection that is
left in another task than it was entered in spins or hangs); everybody else only calls. After a
failure the breaker is open: callers are refused at once, with the reason, until one of them is let
through to try again.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any, TypeVar

import anyio

from opspawn_jupyter.broker import asking, catalogue
from opspawn_jupyter.broker.approvals import Approvals
from opspawn_jupyter.broker.breaker import Breaker
from opspawn_jupyter.broker.callers import Callers, nobodys_context
from opspawn_jupyter.broker.changes import Hear, Watch
from opspawn_jupyter.broker.config import ServerConfig
from opspawn_jupyter.broker.login import Gate, Logins
from opspawn_jupyter.broker.places import Places
from opspawn_jupyter.broker.ports import (
    Arrival,
    Change,
    Changed,
    Connection,
    ConnectionLost,
    Definition,
    Host,
    Open,
)
from opspawn_jupyter.broker.reasons import first_of, reason
from opspawn_jupyter.errors import ToolLoginNeeded, ToolServerUnavailable
from opspawn_jupyter.model.tool import Principal, ServerState, Tool

T = TypeVar("T")
Connect = Callable[[ServerConfig, Open], AbstractAsyncContextManager[Connection]]

logger = logging.getLogger(__name__)

_CLOSE_SECONDS = 5.0


class Upstream:
    """One connection's life, and the tools that were seen through it."""

    def __init__(
        self,
        config: ServerConfig,
        connect: Connect,
        logins: Logins,
        tell: Hear,
        sharers: str,
    ) -> None:
        self.config = config
        self._connect = connect
        self._logins = logins
        self._tell = tell
        self._sharers = sharers
        #: Whoever came last: it is they who are asked to log in, where somebody has to.
        self.caller = Principal(user="")
        self._gate = Gate(config.name)
        self._callers = Callers()
        self._watch = Watch()
        self._problem: str | None = None
        self._connection: Connection | None = None
        self._opening: asyncio.Future[Connection] | None = None
        self._owner: asyncio.Task[None] | None = None
        self._end = asyncio.Event()
        self._is_closed = False
        self._scope: anyio.CancelScope | None = None
        self._breaker = Breaker()
        self._places = Places(config)
        self._definitions: Sequence[Definition] | None = None
        #: What the tools were made of (the definitions are held, so that no others take their
        #: identity), and they themselves.
        self._described: tuple[tuple[int, int], Sequence[Definition], Sequence[Tool]] | None = None
        self._listing = asyncio.Lock()

    @property
    def state(self) -> ServerState:
        """How it stands."""
        if self._connection is not None:
            return ServerState.READY
        if self._gate.url or self._gate.problem:
            return ServerState.LOGIN_NEEDED
        if self._opening is not None:
            return ServerState.CONNECTING
        return ServerState.FAILED if self._problem else ServerState.IDLE

    @property
    def problem(self) -> str | None:
        """Why it is not ready, as far as that is known."""
        return self._gate.needed.message if self._gate.url else self._problem

    @property
    def connection(self) -> Connection | None:
        """The open connection, to look at."""
        return self._connection

    @property
    def known_definitions(self) -> Sequence[Definition] | None:
        """The tools that were seen last, where any were."""
        return self._definitions

    async def definitions(self, *, waits: bool) -> Sequence[Definition]:
        """What the server says of its tools; asked again only when that changed."""
        if self._definitions is None:
            await self._opened(waits=waits)  # a login keeps only those waiting who wait for it
        async with self._listing:
            found = self._definitions
            if found is None:
                found = await self.use(
                    lambda connection: connection.tools(), is_safe=True, waits=waits
                )
                self._definitions = found
        return found

    async def tools(self, approvals: Approvals, *, waits: bool) -> Sequence[Tool]:
        """The tools as callers see them."""
        definitions = await self.definitions(waits=waits)
        seen = (id(definitions), approvals.version)
        if self._described is None or self._described[0] != seen:
            found = tuple(catalogue.tools(self.config, definitions, approvals))
            self._described = ((id(definitions), approvals.version), definitions, found)
        return self._described[2]

    async def use(
        self,
        work: Callable[[Connection], Awaitable[T]],
        *,
        is_safe: bool,
        host: Host | None = None,
        waits: bool = True,
    ) -> T:
        """What the work gives, on an open connection. Work that is safe to repeat is repeated
        once where the connection was lost. The host is asked what the server wants to know.
        Where the server wants a login, somebody is asked to log in for a caller who waits.
        Raises ``ToolServerUnavailable``, ``ToolLoginNeeded`` and what the work does."""
        with self._gate.waited_at() if waits else nullcontext():
            await self._opened(waits=waits)  # before it takes a place, for a login may take long
            async with self._places.hold():
                with self._callers.calling(host):
                    return await self._used(work, is_safe=is_safe, waits=waits)

    async def log_in(self) -> str:
        """Where to log in, once somebody is asked to; nothing where no login is needed."""
        with self._gate.waited_at():
            opening = self._begun(waits=True)
            if opening is None:
                return ""
            await self._gate.told(opening)
        if opening.done():
            opening.result()
        return self._gate.url

    async def _used(
        self, work: Callable[[Connection], Awaitable[T]], *, is_safe: bool, waits: bool
    ) -> T:
        for is_last in (not is_safe, True):
            connection = await self._opened(waits=waits)
            try:
                return await work(connection)
            except ConnectionLost as loss:
                await self._give_up(connection)
                if is_last:
                    raise self._unavailable(str(loss)) from loss
        raise AssertionError  # the loop returns or raises

    async def watch(self, uri: str) -> None:
        """Have it told when this resource changes."""
        self._watch.add(uri)
        await self._opened(waits=False)

    def unwatch(self, uri: str) -> None:
        """One less wants to hear of it."""
        self._watch.drop(uri)

    async def close(self) -> None:
        """End the server and wait for that."""
        self._is_closed = True
        self._end.set()
        if self._opening is not None and self._scope is not None:
            self._scope.cancel()
        if self._owner is not None:
            # Not awaited itself: a caller who is cancelled would cancel it in mid-shutdown.
            await asyncio.wait({self._owner}, timeout=_CLOSE_SECONDS)

    async def _opened(self, *, waits: bool) -> Connection:
        opening = self._begun(waits=waits)
        if opening is None:
            assert self._connection is not None  # noqa: S101 (``_begun`` has just looked)
            return self._connection
        return await self._gate.passed(opening, waits=waits)

    def _begun(self, *, waits: bool) -> asyncio.Future[Connection] | None:
        """The opening that is under way, begun where there was none; None where it is done."""
        if self._connection is not None:
            return None
        if self._gate.problem and not waits and self._opening is None:
            raise self._gate.needed  # nobody is asked for somebody who only looks
        if self._opening is None:
            self._open()
        elif self._breaker.has_failed and not self._gate.url:
            raise self._unavailable()  # somebody else tries it
        if self._opening is None:
            raise self._unavailable()
        return self._opening

    def _open(self) -> None:
        if self._breaker.is_open:
            raise self._unavailable()
        self._end = asyncio.Event()
        opening: asyncio.Future[Connection] = asyncio.get_running_loop().create_future()
        opening.add_done_callback(_look_at)
        self._opening = opening
        before, self._owner = self._owner, None
        # It outlives the call that begins it, so it may not take that call's host for every one's.
        self._owner = asyncio.get_running_loop().create_task(
            self._own(opening, self._end, before),
            name=f"mcp {self.config.name}",
            context=nobodys_context(),
        )

    async def _own(
        self,
        opening: asyncio.Future[Connection],
        end: asyncio.Event,
        before: asyncio.Task[None] | None,
    ) -> None:
        if before is not None:
            await asyncio.wait({before}, timeout=_CLOSE_SECONDS)
        seconds = self.config.rules.connect_timeout_seconds
        why = f"it did not answer within {seconds:g} seconds"
        try:
            # The scope is entered first and left last, or it could not end what it holds.
            with anyio.CancelScope(deadline=anyio.current_time() + seconds) as scope:
                self._scope = scope
                async with self._connect(self.config, self._events(end)) as connection:
                    scope.deadline = math.inf
                    self._ready(connection, opening)
                    await self._until_unused(connection, end)
                    scope.deadline = anyio.current_time() + _CLOSE_SECONDS
        except (Exception, BaseExceptionGroup) as failure:  # whatever a server can do to us
            why = reason(failure)
            if isinstance(first_of(failure), ToolLoginNeeded) and not opening.done():
                self._not_let_in(why, opening)
        finally:
            if not opening.done():
                self._failed("it was ended" if self._is_closed else why, opening)

    async def _log_in(self, url: str) -> Arrival:
        """Have somebody log in, where anybody waits for it. Meanwhile the time for connecting
        stands still."""
        if not self._gate.is_waited_at:
            raise ToolLoginNeeded(self.config.name)
        host = self._callers.current
        principal = host.principal if host is not None else self.caller
        scope, now = self._scope, anyio.current_time()
        left = scope.deadline - now if scope is not None else math.inf
        try:
            if scope is not None:
                scope.deadline = math.inf
            with self._gate.asked(url):
                return await self._logins.await_person(
                    principal, self.config.name, url, self.config.rules.login_timeout_seconds
                )
        finally:
            if scope is not None:
                scope.deadline = anyio.current_time() + left

    def _events(self, end: asyncio.Event) -> Open:
        return Open(
            lost=end.set,
            changed=self._changed,
            ask=self._callers.ask,
            log=self._callers.log,
            log_in=self._log_in,
            sharers=self._sharers,
            capabilities=asking.offered(self.config.rules, self._logins.people),
        )

    def _ready(self, connection: Connection, opening: asyncio.Future[Connection]) -> None:
        self._connection, self._problem = connection, None
        self._breaker.worked()
        self._opening, self._gate.problem = None, None
        self._forget()
        opening.set_result(connection)
        logger.info("tool server ready server=%s", self.config.name)

    def _not_let_in(self, why: str, opening: asyncio.Future[Connection]) -> None:
        """It is no fault of the server's, so the next one who waits for a login may try."""
        self._problem, self._gate.problem, self._opening = why, why, None
        logger.info("tool server wants a login server=%s", self.config.name)
        opening.set_exception(ToolLoginNeeded.restore(why, {}))

    def _failed(self, why: str, opening: asyncio.Future[Connection]) -> None:
        self._breaker.failed()
        self._problem, self._opening, self._gate.problem = why, None, None
        logger.warning("tool server failed server=%s reason=%s", self.config.name, why)
        opening.set_exception(self._unavailable())

    async def _until_unused(self, connection: Connection, end: asyncio.Event) -> None:
        watching = asyncio.ensure_future(self._watch.run(connection, self._changed))
        watching.add_done_callback(_look_at)
        idle_seconds = self.config.rules.idle_stop_seconds or math.inf
        try:
            while not end.is_set():
                unused = 0.0 if self._watch.is_wanted else self._places.unused_seconds
                if unused >= idle_seconds:
                    return
                with anyio.move_on_after(idle_seconds - unused):
                    await end.wait()
        finally:
            self._connection = None  # nobody comes in while it is closed
            watching.cancel()
            await asyncio.wait({watching}, timeout=_CLOSE_SECONDS)

    async def _give_up(self, connection: Connection) -> None:
        """The connection is of no use: have its owner end it."""
        if self._connection is connection:
            self._connection = None
            self._end.set()

    def _changed(self, change: Change) -> None:
        if change.what is Changed.TOOLS:
            self._forget()
        self._tell(change)

    def _forget(self) -> None:
        self._definitions = None

    def _unavailable(self, why: str | None = None) -> ToolServerUnavailable:
        why = why or self._problem or "it was ended"
        return ToolServerUnavailable(self.config.name, hint=why.rstrip("."))


def _look_at(future: asyncio.Future[Any]) -> None:
    """Nobody may be waiting for it; then its failure is no news."""
    if not future.cancelled():
        future.exception()
