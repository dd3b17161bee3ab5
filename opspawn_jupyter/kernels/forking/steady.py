"""A lock whose holder is not interrupted.

Python interrupts the main thread between any two of its steps, and half a message on a line spoils
the next. To block the signal does not help: the system gives it to another thread then, and Python
passes it on to the main one all the same.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # of CPython: signal's enums take longer than a send
import signal
import threading
from typing import Any

_SIGINT = int(signal.SIGINT)
_set_handler: Any = _signal.signal


class SteadyLock:
    """May be taken again by its holder. An interrupt that comes meanwhile follows at the end."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._main = threading.main_thread().ident
        self._depth = 0
        self._handler: Any = None
        self._is_interrupted = False

    def __enter__(self) -> None:
        if threading.get_ident() == self._main:
            if not self._depth:
                self._handler = _set_handler(_SIGINT, self._note)
            self._depth += 1
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()
        if threading.get_ident() != self._main:
            return
        self._depth -= 1
        if self._depth:
            return
        is_interrupted, self._is_interrupted = self._is_interrupted, False
        _set_handler(_SIGINT, self._handler)
        if is_interrupted:
            signal.raise_signal(_SIGINT)

    def _note(self, *_: object) -> None:
        self._is_interrupted = True
