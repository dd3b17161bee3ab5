"""A server that failed is left alone for a while."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from opspawn_jupyter.broker import breaker
from opspawn_jupyter.broker.breaker import Breaker


def test_it_is_closed_until_something_fails() -> None:
    """Nothing is known against a server that nobody has tried."""
    untried = Breaker()
    assert not untried.is_open
    assert not untried.has_failed


def test_it_opens_for_longer_and_longer_but_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a server that is down costs little, and one that came back is found soon."""
    now = 0.0
    monkeypatch.setattr(breaker, "time", SimpleNamespace(monotonic=lambda: now))
    failing, seconds = Breaker(), []
    for _ in range(12):
        failing.failed()
        began = now
        while failing.is_open:
            now += 0.5
        seconds.append(now - began)
    assert seconds == [1, 1, 1, 1, 2, 4, 8, 15, 15, 15, 15, 15]


def test_a_success_starts_the_count_anew() -> None:
    """What was long ago says nothing about today."""
    repaired = Breaker()
    repaired.failed()
    repaired.worked()
    assert not repaired.has_failed
