"""How quick the disk has been, which decides who waits for it: see ``stores/writer.py``.

An event loop may wait for a disk that takes less than it costs to hand the wait to a thread and to
be told of its end (0.1 to 0.2 ms, about what an ordinary handler takes, too). So the loop
waits itself while that is quick, and one slow wait ends that: from then on a thread waits,
until so many were quick that the disk may be trusted again. What was seen long ago says nothing: a
disk may have gone to sleep, or be at the far end of a network. A slow disk thus holds the loop
once at most, before it has proved itself anew.

After a rest all of this takes several times as long, the way to a thread even more than the disk,
because caches have gone cold. A loop that has hardly waited lately has leisure for that: where
little else happens, nobody is kept, and the one who waits is served sooner.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

#: What a sync may take for the event loop to do it.
QUICK_SECONDS = 0.0003
#: So many times that is fair, for a loop that has leisure.
_FAIR = 4
#: Of the time that passes, what a loop with leisure may spend on waits that are not quick, and so
#: many times what is quick can be saved up.
_LEISURE, _MOST_SAVED = 0.02, 16
#: From so many times its limit on, a single wait is enough to lose all trust.
_SLOW = 3
#: So many good ones win it back.
_PROOF = 8
_STALE_SECONDS = 30.0


class TooLong(Exception):
    """It would take longer than an event loop may wait."""


class _Trust:
    """Whether the next wait may be expected to keep within the limit."""

    def __init__(self, limit: float, proof: int) -> None:
        self._limit = limit
        self._proof = proof
        #: So many good ones are to be seen yet.
        self.lacking = 0 if math.isinf(limit) else proof

    def note(self, seconds: float) -> None:
        if seconds <= self._limit:
            self.lacking = max(self.lacking - 1, 0)
        elif seconds <= self._limit * _SLOW:
            self.lacking = min(self.lacking + 1, self._proof)
        else:
            self.lacking = self._proof


class Pace:
    """What the last waits have shown. Used by one thread at a time."""

    def __init__(
        self,
        quick_seconds: float = QUICK_SECONDS,
        clock: Callable[[], float] = time.monotonic,
        proof: int = _PROOF,
    ) -> None:
        """With 0 no disk is quick, with ``math.inf`` each is. Trust is won by ``proof`` good waits
        more than bad ones."""
        self._quick_seconds = quick_seconds
        self._clock = clock
        self._quick = _Trust(quick_seconds, proof)
        self._fair = _Trust(quick_seconds * _FAIR, proof)
        self._saved = 0.0
        self._noted_at = clock()

    @property
    def is_quick(self) -> bool:
        """Whether the event loop may wait for the disk the next time."""
        passed = self._clock() - self._noted_at
        if passed >= _STALE_SECONDS:
            return False
        if not self._quick.lacking:
            return True
        return not self._fair.lacking and self._leisure(passed) >= self._quick_seconds * _FAIR

    def note(self, seconds: float) -> None:
        """It has taken so long."""
        now = self._clock()
        saved = self._leisure(now - self._noted_at)
        self._saved = saved if seconds <= self._quick_seconds else max(saved - seconds, 0.0)
        self._noted_at = now
        if seconds > self._quick_seconds or self._quick.lacking:  # else that is no news
            self._quick.note(seconds)
            self._fair.note(seconds)

    def _leisure(self, passed: float) -> float:
        return min(self._saved + passed * _LEISURE, self._quick_seconds * _MOST_SAVED)
