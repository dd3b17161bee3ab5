"""What stops queries that run too long."""

from __future__ import annotations

import time
from threading import Event

from jupyter_process import PATIENCE_SECONDS
from opspawn_jupyter.stores.watchdog import Watchdog


def test_what_takes_too_long_is_stopped_also_behind_what_may_take_longer() -> None:
    """All share one thread, which must not sleep until the first one's end."""
    watchdog, patient, hasty = Watchdog(), Event(), Event()

    with watchdog.watching(PATIENCE_SECONDS, patient.set), watchdog.watching(0.01, hasty.set):
        assert hasty.wait(PATIENCE_SECONDS)

    watchdog.stop()
    assert not patient.is_set()


def test_what_has_ended_is_not_stopped() -> None:
    """A connection that is used for the next query must not be interrupted for the one before."""
    watchdog, later = Watchdog(), Event()
    is_in_time = False

    while not is_in_time:  # else it may be stopped
        ended, began = Event(), time.monotonic()
        with watchdog.watching(0.1, ended.set):
            pass
        is_in_time = time.monotonic() - began < 0.1
    with watchdog.watching(0.2, later.set):
        assert later.wait(PATIENCE_SECONDS)

    watchdog.stop()
    assert not ended.is_set()


def test_it_ends_without_having_watched() -> None:
    """A store that is never asked has no thread for it."""
    Watchdog().stop()
