"""The runner process, from its first line to its last."""

from __future__ import annotations

import os
import socket
import sys
import threading
from functools import partial
from pathlib import Path

from opspawn_jupyter import timeline
from opspawn_jupyter.kernels import servers
from opspawn_jupyter.model import wire
from opspawn_jupyter.model.run_directory import RunDirectory
from opspawn_jupyter.model.states import EventType
from opspawn_jupyter.model.work import Grace
from opspawn_jupyter.runners import processes
from opspawn_jupyter.worker.channel import ChannelReporter

#: What an orphan gets beyond its graces before it is ended whatever it does.
_ORPHAN_SECONDS = 5.0


def main(line: socket.socket, grace: Grace) -> None:
    """Get ready, wait for an attempt, carry it out, and end."""
    # Not at the top: the worker imports this module too, and has no use for papermill.
    from opspawn_jupyter.runners import preload, problems

    os.setsid()
    processes.adopt_orphans()
    reporter = ChannelReporter(line, orphaned=partial(_end_soon, grace))
    servers.delegate(reporter.need)
    if not reporter.is_spoken_to:
        preload.exercise()
    assignment = reporter.assignment()
    if assignment is None:
        return
    reporter.listen()
    directory = RunDirectory(Path(assignment.run_directory))
    _redirect_streams(directory.log)
    timeline.reach("runner.begun")
    try:
        runner = preload.runner(assignment.kind, grace)
        runner.run(assignment, directory.path, reporter)
    except Exception as error:  # the process's boundary: a runner's own fault ends as a crash
        problem = wire.encode(problems.unexpected(error))
        reporter.tell(EventType.CRASHED, {"error": problem})


def _redirect_streams(log: Path) -> None:
    """What this process and its kernel write outside of cells goes to the log."""
    sys.stdout.flush()
    sys.stderr.flush()
    target = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for descriptor in (sys.__stdout__, sys.__stderr__):
        if descriptor is not None:
            os.dup2(target, descriptor.fileno())
    os.close(target)


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
