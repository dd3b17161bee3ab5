"""Circuit breakers: a kind whose tasks keep ending badly is held, then tried with one task.

Closed, everything goes. After so many bad ends in a row, all within the window, the kind is held
for the cool-down (open); then one task at a time goes (half-open). A success closes the breaker,
another bad end opens it again. Nothing of this is stored: a new server begins with all closed.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta

from opspawn_jupyter.model.policy import RETRYABLE
from opspawn_jupyter.model.states import State
from opspawn_jupyter.ports import Queue

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Rule:
    """When breakers open, and for how long."""

    #: So many bad ends in a row; 0 for no breakers at all.
    failures: int
    window: timedelta
    cooldown: timedelta


class _Breaker:
    def __init__(self, rule: Rule) -> None:
        self._rule = rule
        #: Times of the last bad ends, without a success since.
        self._bad: deque[datetime] = deque(maxlen=rule.failures)
        #: None while closed.
        self.open_until: datetime | None = None

    def worsens(self, at: datetime) -> bool:
        """Take a bad end; whether it opens the breaker."""
        self._bad.append(at)
        if self.open_until is not None:
            is_probe = at >= self.open_until
        else:
            is_full = len(self._bad) == self._rule.failures
            is_probe = is_full and at - self._bad[0] <= self._rule.window
        if is_probe:
            self.open_until = at + self._rule.cooldown
        return is_probe

    def recovers(self) -> bool:
        """Take a success; whether it closes the breaker."""
        was_open = self.open_until is not None
        self._bad.clear()
        self.open_until = None
        return was_open


class Breakers:
    """One for each kind that ever ended badly. Used from the server's event loop only."""

    def __init__(self, queue: Queue, rule: Rule) -> None:
        self._queue = queue
        self._rule = rule
        self._breakers: dict[str, _Breaker] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}

    def note(self, kind: str, outcome: State, at: datetime) -> None:
        """An attempt has ended. Called once for each, by ``orchestrator/report.py``."""
        if not self._rule.failures:
            return
        if outcome is State.SUCCESS:
            self._recover(kind)
        elif outcome in RETRYABLE:
            self._worsen(kind, at)

    def probe(self, kind: str) -> None:
        """Let one task of a held kind go."""
        self._queue.limit_kind(kind, 1)
        logger.info("breaker half-open kind=%s", kind)

    @property
    def problem(self) -> str | None:
        """Which kinds are held, and until when; None where none is."""
        held = {
            kind: breaker.open_until
            for kind, breaker in sorted(self._breakers.items())
            if breaker.open_until is not None
        }
        if not held:
            return None
        said = ", ".join(f"{kind} until {until:%H:%M:%S} UTC" for kind, until in held.items())
        return (
            f"Tasks of some kinds are held, because the last {self._rule.failures} attempts ended "
            f"badly: {said}; then one is tried, and its success lets the others go."
        )

    def close(self) -> None:
        """Forget what was to be tried."""
        for timer in self._timers.values():
            timer.cancel()

    def _worsen(self, kind: str, at: datetime) -> None:
        breaker = self._breakers.setdefault(kind, _Breaker(self._rule))
        if not breaker.worsens(at):
            return
        self._queue.limit_kind(kind, 0)
        delay_seconds = self._rule.cooldown.total_seconds()
        loop = asyncio.get_running_loop()
        self._timers[kind] = loop.call_later(delay_seconds, self.probe, kind)
        logger.warning("breaker open kind=%s until=%s", kind, breaker.open_until)

    def _recover(self, kind: str) -> None:
        breaker = self._breakers.get(kind)
        if breaker is None or not breaker.recovers():
            return
        self._timers.pop(kind).cancel()
        self._queue.limit_kind(kind, None)
        logger.info("breaker closed kind=%s", kind)
