"""A lock whose holder is not interrupted.

Python calls the handlers of signals in the main thread between any two of its steps, and half a
message on a line spoils the next: a handler may raise something, as an interrupt does and as users'
limits of time do, or have something to say itself. To block the signal does not help: the system
gives it to another thread then, and Python passes it on to the main one all the same.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # of CPython: signal's enums take longer than a send
import os
import signal
import threading
from collections.abc import Callable
from functools import wraps
from types import FrameType
from typing import Any

_SIGINT = int(signal.SIGINT)
_set_handler: Any = _signal.signal


class SteadyLock:
    """May be taken again by its holder. A signal that comes meanwhile follows at the end: an
    interrupt, and whatever else the user has a handler for (``defer``)."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._main = threading.main_thread().ident
        self._depth = 0
        self._handler: Any = None
        self._is_interrupted = False

    def __enter__(self) -> None:
        if threading.get_ident() == self._main:
            if not self._depth:
                self._begin()
            self._depth += 1
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()
        if threading.get_ident() != self._main:
            return
        self._depth -= 1
        if not self._depth:
            self._end()

    def _begin(self) -> None:
        _late.locks += 1
        try:
            self._handler = _set_handler(_SIGINT, self._note)
        except BaseException:  # an interrupt that came just before
            _late.locks -= 1
            raise

    def _end(self) -> None:
        is_interrupted, self._is_interrupted = self._is_interrupted, False
        try:
            _set_handler(_SIGINT, self._handler)
        finally:
            _late.locks -= 1
        if is_interrupted:
            signal.raise_signal(_SIGINT)
        if _late.waiting:
            _late.deliver()

    def _note(self, *_: object) -> None:
        self._is_interrupted = True


class _Late:
    """Signals that wait until the main thread holds no lock."""

    def __init__(self) -> None:
        self.locks = 0
        #: As with the system, one that comes twice is delivered once.
        self.waiting: dict[int, tuple[_Handler, FrameType | None]] = {}

    def deliver(self) -> None:
        while self.waiting and not self.locks:
            signum, (handler, frame) = self.waiting.popitem()
            handler.own(signum, frame)

    def be_forked(self) -> None:
        """The thread that held a lock is not there any more, unless it is this one: it holds none
        when it forks."""
        self.locks = 0
        self.waiting.clear()


_late = _Late()


class _Handler:
    """One of the user's."""

    def __init__(self, own: Callable[[int, FrameType | None], Any]) -> None:
        self.own = own

    def __call__(self, signum: int, frame: FrameType | None) -> None:
        if _late.locks:
            _late.waiting[signum] = self, frame
        else:
            self.own(signum, frame)


def defer() -> None:
    """Have the handlers that are set in this process from now on wait for locks. Of an interrupt's
    handler the locks see to it themselves: ipykernel sets that one past this."""
    signal.signal, signal.getsignal = _signal_function, _getsignal
    os.register_at_fork(after_in_child=_late.be_forked)


_usual = signal.signal, signal.getsignal


@wraps(_usual[0])
def _signal_function(signalnum: Any, handler: Any) -> Any:
    is_own = callable(handler) and signalnum != _SIGINT
    return _own(_usual[0](signalnum, _Handler(handler) if is_own else handler))


@wraps(_usual[1])
def _getsignal(signalnum: Any) -> Any:
    return _own(_usual[1](signalnum))


def _own(handler: Any) -> Any:
    """As whoever has set it knows it."""
    return handler.own if isinstance(handler, _Handler) else handler
