"""The runner process, from its first line to its last.

It carries out attempts one after the other, as long as each leaves it as it was: what user code
does, it does in kernels, and they are new for each.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import psutil

from opspawn_jupyter import timeline
from opspawn_jupyter.kernels import servers
from opspawn_jupyter.kernels.forking.family import has_children
from opspawn_jupyter.model import wire
from opspawn_jupyter.model.policy import Policy
from opspawn_jupyter.model.run_directory import RunDirectory
from opspawn_jupyter.model.states import EventType
from opspawn_jupyter.model.work import Assignment, Grace
from opspawn_jupyter.runners import loops, processes, sockets
from opspawn_jupyter.worker.channel import ChannelReporter

# The fork server imports this: to look the hints of its types up takes longer than to read one.
_NOTHING = Assignment(
    task_id="", attempt=0, kind="", name="", spec={}, policy=Policy(), run_directory="",
    root_directory="",
)  # fmt: skip
wire.decode(Assignment, wire.encode(_NOTHING))
#: What an orphan gets beyond its graces before it is ended whatever it does.
_ORPHAN_SECONDS = 5.0
#: After so many attempts, or with so much memory gained by them, another process takes its place.
MOST_ATTEMPTS = 100
_MOST_GAINED_BYTES = 64 << 20
#: The main thread, and the one that hears the worker.
_THREADS = 2


def main(line: socket.socket, grace: Grace) -> None:
    """Get ready, wait for attempts, carry them out, and end."""
    # Not at the top: the worker imports this module too, and has no use for papermill.
    from opspawn_jupyter.runners import preload

    os.setsid()
    processes.adopt_orphans()
    loops.keep()
    reporter = ChannelReporter(line, orphaned=partial(_end_soon, grace))
    servers.delegate(reporter.need)
    if not reporter.is_spoken_to:
        preload.exercise()
        _get_ready()
    reporter.listen()
    streams, process = _Streams(), psutil.Process()
    memory = process.memory_info().rss

    def carry_out(assignment: Assignment) -> bool:
        is_clean = _carry_out(assignment, grace, reporter, streams)
        streams.lead_back()
        return is_clean and process.memory_info().rss < memory + _MOST_GAINED_BYTES

    serve(reporter, carry_out)
    sockets.forget_ahead()


def serve(reporter: ChannelReporter, carry_out: Callable[[Assignment], bool]) -> None:
    """Carry out what comes, until that says that another process has to, or has been done often
    enough. Only who waits says so: the worker may have sent the next one a moment later."""
    for left in reversed(range(MOST_ATTEMPTS)):
        assignment = reporter.assignment()
        if assignment is None or not carry_out(assignment) or not left:
            return
        reporter.wait_again()
        _get_ready()


def _get_ready() -> None:
    """Do what the next attempt would have to do first."""
    servers.connect_ahead()
    sockets.make_ahead()


def _carry_out(
    assignment: Assignment, grace: Grace, reporter: ChannelReporter, streams: _Streams
) -> bool:
    """Whether nothing is left of it in this process."""
    from opspawn_jupyter.runners import preload, problems

    reporter.begin()
    directory = RunDirectory(Path(assignment.run_directory))
    streams.lead_to(directory.log)
    timeline.reach("runner.begun")
    try:
        runner = preload.runner(assignment.kind, grace)
        runner.run(assignment, directory.path, reporter)
    except Exception as error:  # the process's boundary: a runner's own fault ends as a crash
        problem = wire.encode(problems.unexpected(error))
        reporter.tell(EventType.CRASHED, {"error": problem})
        return False
    is_clean = bool(getattr(runner, "is_clean", False))
    return is_clean and threading.active_count() == _THREADS and not has_children()


class _Streams:
    """Where this process and its kernels write what is said outside of cells."""

    def __init__(self) -> None:
        self._numbers = [s.fileno() for s in (sys.__stdout__, sys.__stderr__) if s is not None]
        self._own = [os.dup(number) for number in self._numbers]

    def lead_to(self, log: Path) -> None:
        """To a run's log."""
        target = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self._lead([target] * len(self._numbers))
        os.close(target)

    def lead_back(self) -> None:
        """To the worker's."""
        self._lead(self._own)

    def _lead(self, targets: Sequence[int]) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, target in zip(self._numbers, targets, strict=True):
            os.dup2(target, number)


def _end_soon(grace: Grace) -> None:
    """The worker is dead: whatever hangs here, nothing of this run may stay."""
    seconds = grace.interrupt_seconds + grace.terminate_seconds + _ORPHAN_SECONDS
    timer = threading.Timer(seconds, _end_now)
    timer.daemon = True
    timer.start()


def _end_now() -> None:
    for child in processes.descendants(os.getpid()):
        processes.kill_session(child.pid)
    processes.kill(processes.descendants(os.getpid()))
    os._exit(1)
