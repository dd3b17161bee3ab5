"""How quick the disk has been, which decides who waits for it: see ``writer.py``.

An event loop may wait for a disk that takes less than it costs to hand the wait to a thread and to
be told of its end (0.1 to 0.2 ms, about what an ordinary handler takes, too). So the loop
waits itself while syncs are quick, and one slow sync ends that: from then on the thread waits,
until so many were quick that the disk may be trusted again. What was seen long ago says nothing: a
disk may have gone to sleep, or be at the far end of a network. A slow disk thus holds the loop for
one sync at most, before it has proved itself anew.
"""

from __future__ import annotations

import math
import time

#: What a sync may take for the event loop to do it.
QUICK_SECONDS = 0.0003
#: From here on, in so many times that, a single one is enough to lose all trust.
_SLOW = 3
#: So many quick ones win it back.
_PROOF = 8
_STALE_SECONDS = 30.0


class TooLong(Exception):
    """It would take longer than an event loop may wait."""


class Pace:
    """What the last syncs have shown. Used by one thread at a time."""

    def __init__(self, quick_seconds: float = QUICK_SECONDS) -> None:
        """With 0 no disk is quick, with ``math.inf`` each is."""
        self._quick_seconds = quick_seconds
        #: So many quick syncs are to be seen yet.
        self._lacking = 0 if math.isinf(quick_seconds) else _PROOF
        self._noted_at = time.monotonic()

    @property
    def is_quick(self) -> bool:
        """Whether the next sync may be expected to be quick."""
        return self._lacking == 0 and time.monotonic() - self._noted_at < _STALE_SECONDS

    def note(self, seconds: float) -> None:
        """A sync has taken so long."""
        self._noted_at = time.monotonic()
        if seconds <= self._quick_seconds:
            self._lacking = max(self._lacking - 1, 0)
        elif seconds <= self._quick_seconds * _SLOW:
            self._lacking = min(self._lacking + 1, _PROOF)
        else:
            self._lacking = _PROOF
