"""Sync names for async methods, derived and never copied.

An async method runs on one event loop in a thread of its own, which also serves callers whose
own thread already runs a loop (every cell of a notebook does). ``blocking(Async.method)`` is
the method as it is called without ``await``, with the same signature.
"""

from __future__ import annotations

import asyncio
import functools
import os
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from concurrent.futures import Future
from contextlib import suppress
from enum import Enum
from typing import Any, Concatenate, Generic, Literal, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")
A = TypeVar("A")
A_co = TypeVar("A_co", covariant=True)
S = TypeVar("S", bound="Blocking[Any]")

_CANCEL_TIMEOUT_SECONDS = 5.0


class LoopThread:
    """An event loop on a daemon thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="opspawn-client", daemon=True).start()

    def run(self, function: Callable[..., Coroutine[Any, Any, R]], *args: Any, **kwargs: Any) -> R:
        """The result of the coroutine that ``function`` gives. Ctrl-C ends the wait, at whatever
        moment it comes, and cancels the coroutine, or keeps it from beginning."""
        call = _Call(lambda: function(*args, **kwargs))
        try:
            self._loop.call_soon_threadsafe(call.start)
            return call.ended.result()
        except BaseException:
            self._loop.call_soon_threadsafe(call.cancel)
            with suppress(BaseException):  # its own end; what is raised here is the caller's
                call.ended.result(_CANCEL_TIMEOUT_SECONDS)
            raise

    def start(
        self, function: Callable[..., Coroutine[Any, Any, R]], *args: Any
    ) -> Callable[[], object]:
        """Have the coroutine run without waiting for it; what is given back ends it."""
        call = _Call(lambda: function(*args))
        self._loop.call_soon_threadsafe(call.start)
        return lambda: self._loop.call_soon_threadsafe(call.cancel)


class _Call(Generic[R]):
    """One coroutine from its start to its end. All but ``ended`` belongs to the loop's thread."""

    def __init__(self, begin: Callable[[], Coroutine[Any, Any, R]]) -> None:
        self._begin = begin
        self._task: asyncio.Task[R] | None = None
        self.ended: Future[R] = Future()

    def start(self) -> None:
        """Begin, unless it was cancelled before."""
        if not self.ended.done():
            self._task = asyncio.ensure_future(self._begin())
            self._task.add_done_callback(self._end)

    def cancel(self) -> None:
        """Have it end soon; does nothing once it has ended."""
        if self._task is not None:
            self._task.cancel()
        elif not self.ended.done():
            self.ended.set_exception(asyncio.CancelledError())

    def _end(self, task: asyncio.Task[R]) -> None:
        problem = asyncio.CancelledError() if task.cancelled() else task.exception()
        if problem is None:
            self.ended.set_result(task.result())
        else:
            self.ended.set_exception(problem)


def loop_thread() -> LoopThread:
    """The loop of this process; made at the first call."""
    with _lock:
        return _loop_thread_of(os.getpid())


@functools.cache
def _loop_thread_of(pid: int) -> LoopThread:  # noqa: ARG001 (a forked child lacks the thread)
    return LoopThread()


_lock = threading.Lock()


class Blocking(Generic[A_co]):
    """Base of a sync class: does what its async twin does, and waits for it."""

    def __init__(self, twin: A_co) -> None:
        self._twin = twin


def blocking(
    method: Callable[Concatenate[A, P], Coroutine[Any, Any, R]],
) -> Callable[Concatenate[Blocking[A], P], R]:
    """The method, called without ``await``."""

    @functools.wraps(method)
    def call(self: Blocking[A], /, *args: P.args, **kwargs: P.kwargs) -> R:
        return loop_thread().run(method, self._twin, *args, **kwargs)

    return call


def chained(
    method: Callable[Concatenate[A, P], Coroutine[Any, Any, A]],
) -> Callable[Concatenate[S, P], S]:
    """The method, called without ``await``, where it gives ``self``."""

    @functools.wraps(method)
    def call(self: S, /, *args: P.args, **kwargs: P.kwargs) -> S:
        loop_thread().run(method, self._twin, *args, **kwargs)
        return self

    return call


def iterating(
    method: Callable[Concatenate[A, P], AsyncGenerator[R, None]],
) -> Callable[Concatenate[Blocking[A], P], Generator[R, None, None]]:
    """The method, iterated without ``async``."""

    @functools.wraps(method)
    def call(self: Blocking[A], /, *args: P.args, **kwargs: P.kwargs) -> Generator[R, None, None]:
        loop = loop_thread()
        items = method(self._twin, *args, **kwargs)
        try:
            # Without a ``try`` in here: Python does not protect the line on which one begins.
            while (item := loop.run(_next, items)) is not _End.END:
                yield item
        finally:
            loop.run(_close, items)

    return call


class _End(Enum):
    END = "no more items"


async def _next(items: AsyncGenerator[R, None]) -> R | Literal[_End.END]:
    return await anext(items, _End.END)


async def _close(items: AsyncGenerator[Any, None]) -> None:
    await items.aclose()
