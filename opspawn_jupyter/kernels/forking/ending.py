"""What the interpreter does at the end of a process, as far as anybody can tell the difference."""

from __future__ import annotations

import atexit
import ctypes
import gc
import io
import os
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

#: What may hold bytes back. ipykernel's own streams are others, and have no thread to go on by now.
_WRITERS = (io.TextIOWrapper, io.BufferedWriter, io.BufferedRandom)
_LIBC = ctypes.CDLL(None)


def leave() -> None:
    """Wait for the user's threads, run the exit handlers, flush. The process may be ended then.

    The interpreter would go on to take every module apart, which touches, and so copies, all of
    the memory shared with the fork server, to give it back a moment later.
    """
    endings: tuple[Callable[[], object], ...] = (
        await_threads,
        vars(atexit)["_run_exitfuncs"],
        _write_out,
        flush,
    )
    for ending in endings:
        try:
            ending()
        except BaseException:  # an exit handler is user code, and the end must come
            traceback.print_exc()


def await_threads() -> None:
    """Wait for the user's threads. Those that only wait for work end by that."""
    vars(threading)["_shutdown"]()


def leave_fork(problem: BaseException | None) -> NoReturn:
    """End a fork that user code has made and come back from, with the code that a program would
    have. What came back with it is the parent's to go on with."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):  # whatever the user has put there
            stream.flush()
    flush()
    os._exit(_code(problem))


def flush() -> None:
    """Write what is kept of the standard streams, Python's and C's."""
    for stream in (sys.__stdout__, sys.__stderr__):
        if stream is not None:
            with suppress(ValueError, OSError):  # closed by the user
                stream.flush()
    _LIBC.fflush(None)


def _code(problem: BaseException | None) -> int:
    if isinstance(problem, SystemExit):
        return status(problem.code) & 0xFF
    return int(problem is not None)


def status(code: object) -> int:
    """The exit code of a process that is left with this."""
    if code is None or isinstance(code, int):
        return code or 0
    sys.stderr.write(f"{code}\n")
    return 1


def _write_out() -> None:
    """Have files that nobody closed written out, as the interpreter's end would. IPython
    has given up the user's names by now; what is left holds itself, or is held by a module."""
    gc.collect()
    for thing in gc.get_objects():
        if issubclass(type(thing), _WRITERS) and not thing.closed:
            with suppress(ValueError, OSError):  # not open for writing, or its other end is gone
                thing.flush()
