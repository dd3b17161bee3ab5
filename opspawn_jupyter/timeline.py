"""When one task comes by which place on its way. In production ``reach`` does nothing at all.

``OPSPAWN_TIMELINE`` names a file to which each process adds a line at each place: nanoseconds of
the system's monotonic clock, which all processes share, nanoseconds of processor time that the
process has used, its id, and the place. ``make bench ROWS=account`` makes a table of it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping

#: Each place by name, in the order in which a task comes by, and what has been done there.
PLACES: Mapping[str, str] = {
    "server.asked": "the submission was read, and its sender is known",
    "server.checked": "notebook, parameters and kernelspec are found good",
    "server.pinned": "the run directory is made, the notebook pinned in it",
    "server.stored": "the submission is synced to the journal",
    "server.assigned": "the worker's open request is answered",
    "worker.taken": "the worker has read it",
    "worker.handed": "a spare runner is told",
    "runner.begun": "it has read that, and opened its log",
    "runner.prepared": "the notebook is read, checked and given its parameters",
    "runner.launched": "a spare kernel is handed over; the notebook is saved as not run",
    "runner.connected": "nothing that the kernel puts out can be lost from here on",
    "runner.cells_done": "all cells have run, environment.json is written",
    "runner.saved_last": "the executed notebook is saved, while the kernel ends",
    "runner.kernel_ended": "the kernel has run its exit handlers: nothing of it writes any more",
    "worker.heard": "the outcome lies in the run directory's journal",
    "server.told": "it is synced to the server's journal, and listeners are being told",
}


def _pass(place: str) -> None:
    """Nobody measures."""


def _recorder(target: str) -> Callable[[str], None]:
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def record(place: str) -> None:
        now, used = time.monotonic_ns(), time.process_time_ns()
        os.write(descriptor, b"%d %d %d %s\n" % (now, used, os.getpid(), place.encode()))

    return record


#: Called with its name wherever a place is reached.
reach: Callable[[str], None] = _pass
if "OPSPAWN_TIMELINE" in os.environ:
    reach = _recorder(os.environ["OPSPAWN_TIMELINE"])
