"""How often one caller may call one server."""

from __future__ import annotations

import time
from collections.abc import Callable

from opspawn_jupyter.errors import ToolLimitReached
from opspawn_jupyter.model.tool import Principal

_MINUTE_SECONDS = 60.0
#: Callers that are remembered; the one who called longest ago is forgotten first.
_MOST_CALLERS = 10_000


class RateLimit:
    """A bucket for each caller and server, that fills evenly and holds one minute's calls."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: dict[tuple[str, str], tuple[float, float]] = {}

    def take(self, principal: Principal, server: str, calls_per_minute: int) -> None:
        """Count one call. Raises ``ToolLimitReached``."""
        if not calls_per_minute:
            return
        key = (principal.task_id or principal.user, server)
        now = self._clock()
        left, at = self._buckets.pop(key, (float(calls_per_minute), now))
        left = min(calls_per_minute, left + (now - at) * calls_per_minute / _MINUTE_SECONDS)
        is_free = left >= 1
        self._buckets[key] = (left - 1 if is_free else left, now)
        if len(self._buckets) > _MOST_CALLERS:
            del self._buckets[next(iter(self._buckets))]
        if not is_free:
            raise ToolLimitReached(server, hint=f"it takes {calls_per_minute} calls a minute")
