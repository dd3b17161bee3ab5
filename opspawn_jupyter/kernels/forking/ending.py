"""What the interpreter does at the end of a process, as far as anybody can tell the difference."""

from __future__ import annotations

import atexit
import gc
import io
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress

#: What may hold bytes back. ipykernel's own streams are others, and have no thread to go on by now.
_WRITERS = (io.TextIOWrapper, io.BufferedWriter, io.BufferedRandom)


def leave() -> None:
    """Wait for the user's threads, run the exit handlers, flush. The process may be ended then.

    The interpreter would go on to take every module apart, which touches, and so copies, all of
    the memory shared with the fork server, to give it back a moment later.
    """
    endings: tuple[Callable[[], object], ...] = (
        vars(threading)["_shutdown"],
        vars(atexit)["_run_exitfuncs"],
        _write_out,
        _flush,
    )
    for ending in endings:
        try:
            ending()
        except BaseException:  # an exit handler is user code, and the end must come
            traceback.print_exc()


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


def _flush() -> None:
    for stream in (sys.__stdout__, sys.__stderr__):
        if stream is not None:
            with suppress(ValueError, OSError):  # closed by the user
                stream.flush()
