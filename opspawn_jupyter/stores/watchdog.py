"""Stops what has run for too long: one thread for all of it, which is asleep nearly always.

A timer for each query would be a thread for each, and who starts a thread waits until it runs: on a
busy machine that is longer than most queries.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Condition, Thread


class Watchdog:
    """Made without a thread; the first that is watched starts it."""

    def __init__(self) -> None:
        self._changed = Condition()
        #: When each is to be stopped, and how.
        self._due: dict[object, tuple[float, Callable[[], None]]] = {}
        self._wakes_at = math.inf
        self._is_stopping = False
        self._thread: Thread | None = None

    @contextmanager
    def watching(self, seconds: float, stop: Callable[[], None]) -> Iterator[None]:
        """Call ``stop`` if the body takes longer; never once it has ended."""
        due, key = time.monotonic() + seconds, object()
        with self._changed:
            self._due[key] = (due, stop)
            if self._thread is None:
                self._thread = Thread(target=self._run, name="opspawn-watchdog", daemon=True)
                self._thread.start()
            elif due < self._wakes_at:
                self._changed.notify()
        try:
            yield
        finally:
            with self._changed:
                self._due.pop(key, None)

    def stop(self) -> None:
        """End. Nothing is watched any more."""
        with self._changed:
            self._is_stopping = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        with self._changed:
            while not self._is_stopping:
                self._stop_overdue()
                self._wakes_at = min((due for due, _ in self._due.values()), default=math.inf)
                is_idle = math.isinf(self._wakes_at)
                self._changed.wait(None if is_idle else self._wakes_at - time.monotonic())

    def _stop_overdue(self) -> None:
        now = time.monotonic()
        for key, (due, stop) in [*self._due.items()]:
            if due <= now:
                del self._due[key]
                stop()
