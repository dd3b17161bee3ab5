"""Who answers a question beside the thread that asks it."""

from __future__ import annotations

import os
import sys
from threading import get_native_id

import pytest

from opspawn_jupyter.stores import engine_threads

_LOWEST = 19


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a thread has no priority of its own")
def test_threads_of_the_database_come_after_tasks() -> None:
    """A long question must not take the processors from the work; and whoever opens the store
    must not be put back with them."""

    def priority() -> int:
        return os.getpriority(os.PRIO_PROCESS, get_native_id())

    own = priority()

    assert engine_threads.at_low_priority(priority) == min(own + 5, _LOWEST)
    assert priority() == own


def test_a_question_takes_no_more_threads_than_there_are_processors() -> None:
    """On a machine with one processor a second thread would only be in the way."""
    assert 1 <= engine_threads.COUNT <= (os.cpu_count() or 1)
