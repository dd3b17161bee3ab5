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
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar

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

    def run(self, work: Coroutine[Any, Any, R]) -> R:
        """The coroutine's result. Ctrl-C ends the wait and cancels the coroutine."""
        started = asyncio.run_coroutine_threadsafe(_start(work), self._loop).result()
        try:
            return asyncio.run_coroutine_threadsafe(_finish(started), self._loop).result()
        except BaseException:
            asyncio.run_coroutine_threadsafe(_cancel(started), self._loop).result()
            raise


async def _start(work: Coroutine[Any, Any, R]) -> asyncio.Task[R]:
    return asyncio.create_task(work)


async def _finish(task: asyncio.Task[R]) -> R:
    return await task


async def _cancel(task: asyncio.Task[Any]) -> None:
    task.cancel()
    await asyncio.wait([task], timeout=_CANCEL_TIMEOUT_SECONDS)


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
        return loop_thread().run(method(self._twin, *args, **kwargs))

    return call


def chained(
    method: Callable[Concatenate[A, P], Coroutine[Any, Any, A]],
) -> Callable[Concatenate[S, P], S]:
    """The method, called without ``await``, where it gives ``self``."""

    @functools.wraps(method)
    def call(self: S, /, *args: P.args, **kwargs: P.kwargs) -> S:
        loop_thread().run(method(self._twin, *args, **kwargs))
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
            while True:
                try:
                    yield loop.run(_next(items))
                except StopAsyncIteration:
                    return
        finally:
            loop.run(_close(items))

    return call


async def _next(items: AsyncGenerator[R, None]) -> R:
    return await anext(items)


async def _close(items: AsyncGenerator[Any, None]) -> None:
    await items.aclose()
