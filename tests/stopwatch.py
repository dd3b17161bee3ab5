"""Time as the machine had it to give: what other programs kept for themselves is no one's delay.

Linux counts how long some program was ready and had no processor (pressure stall information). A
limit that is held against the rest says the same of a quiet machine and of a starved one.
"""

from __future__ import annotations

import re
import time
from pathlib import Path

_PRESSURE = Path("/proc/pressure/cpu")


class Stopwatch:
    """Runs from when it is made."""

    def __init__(self) -> None:
        self._began_at = time.monotonic()
        self._stalled_before = _stalled_seconds()

    @property
    def seconds(self) -> float:
        """How long it has run, less the time in which somebody waited for a processor; no time at
        all where the system does not count that."""
        stalled = _stalled_seconds()
        if stalled is None or self._stalled_before is None:
            return 0.0
        return max(0.0, time.monotonic() - self._began_at - (stalled - self._stalled_before))


def _stalled_seconds() -> float | None:
    try:
        told = _PRESSURE.read_text()
    except OSError:
        return None
    found = re.search(r"^some .*total=(\d+)", told)
    return int(found[1]) / 1e6 if found else None
