"""The breaker of one upstream server: after a failure it is not tried again for a while."""

from __future__ import annotations

import time

#: How long it stays open; after more failures than this it doubles, up to the longest.
_OPEN_SECONDS = 1.0
_PATIENT_FAILURES = 4
_LONGEST_OPEN_SECONDS = 15.0


class Breaker:
    """Counts the failures in a row."""

    def __init__(self) -> None:
        self._failures = 0
        self._open_until = 0.0

    @property
    def is_open(self) -> bool:
        """Nobody is to try now."""
        return time.monotonic() < self._open_until

    @property
    def has_failed(self) -> bool:
        """The last try was a failure."""
        return self._failures > 0

    def failed(self) -> None:
        """Open it."""
        self._failures += 1
        doubled = _OPEN_SECONDS * 2 ** max(0, self._failures - _PATIENT_FAILURES)
        self._open_until = time.monotonic() + min(doubled, _LONGEST_OPEN_SECONDS)

    def worked(self) -> None:
        """Forget the failures."""
        self._failures = 0
