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
        self._handlers: list[Any] = []
        self._is_interrupted = False

    def __enter__(self) -> None:
        if _is_main():
            self._handlers.append(_set_handler(_SIGINT, self._note))
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()
        if not _is_main():
            return
        handler = self._handlers.pop()
        if not self._handlers and self._is_interrupted:
            self._is_interrupted = False
            _set_handler(_SIGINT, handler)
            signal.raise_signal(_SIGINT)
        else:
            _set_handler(_SIGINT, handler)

    def _note(self, *_: object) -> None:
        self._is_interrupted = True


def _is_main() -> bool:
    return threading.get_ident() == threading.main_thread().ident
