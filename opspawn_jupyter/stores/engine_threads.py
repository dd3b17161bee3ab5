"""The threads that DuckDB has of its own, beside the one that asks.

A question to a long history is to be answered by more than one processor, but by those that would
be idle: tasks, and the server that serves them, come first. So DuckDB's own threads have a lower
priority. With a much lower one a question would wait for a thread that has taken a part of the work
and then gets no processor; with this one it takes on a busy machine about as long as alone.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import get_native_id
from typing import TypeVar

T = TypeVar("T")


def _processors() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


_PROCESSORS = _processors()
#: With the one that asks: half of the processors, but two where there are two.
COUNT = min(_PROCESSORS, max(2, _PROCESSORS // 2))
_NICENESS = 5


def at_low_priority(connect: Callable[[], T]) -> T:
    """What ``connect`` gives, with a lower priority for the threads that are made meanwhile: on
    Linux each thread has its own, and begins with that of who starts it."""
    with ThreadPoolExecutor(1, "opspawn-connect", initializer=_step_back) as executor:
        return executor.submit(connect).result()


def _step_back() -> None:
    if sys.platform == "linux":
        me = get_native_id()
        with suppress(OSError):  # a container may forbid it, or know processes only
            os.setpriority(os.PRIO_PROCESS, me, os.getpriority(os.PRIO_PROCESS, me) + _NICENESS)
