"""The shell command from its words to its exit code.

Exit codes: 0 success, 1 failure (failed, timed out, cancelled, or no server to ask), 2 refused
(bad usage or bad input), 130 interrupted, 138 a kernel or worker died.
"""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Sequence
from typing import Any, TextIO

from opspawn_jupyter import errors
from opspawn_jupyter.client.grammar import parse
from opspawn_jupyter.client.parser import Surface

SUCCESS, FAILURE, REFUSED, INTERRUPTED, CRASHED = 0, 1, 2, 130, 138
_REFUSALS = (errors.InvalidRequest, errors.NotFound, errors.Conflict)


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out the command line and give the exit code. Never raises."""
    for stream in (sys.stdout, sys.stderr):
        _make_lenient(stream)
    try:
        return _main(sys.argv[1:] if arguments is None else arguments)
    except errors.OpspawnError as problem:
        _tell(problem)
        return exit_code(problem)
    except KeyboardInterrupt as interrupt:
        if str(interrupt):
            _complain(str(interrupt))
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has read enough; python must not complain about it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return SUCCESS
    except OSError as problem:
        _complain(": ".join(str(part) for part in (problem.filename, problem.strerror) if part))
        return FAILURE
    except Exception as problem:  # the boundary of the process: a mistake of ours
        _complain(f"internal error: {type(problem).__name__}: {problem}; please report it")
        return FAILURE


def exit_code(problem: errors.OpspawnError) -> int:
    """The exit code that tells of this error."""
    if isinstance(problem, errors.TaskCrashed):
        return CRASHED
    return REFUSED if isinstance(problem, _REFUSALS) else FAILURE


def _main(arguments: Sequence[str]) -> int:
    options = parse(arguments, Surface.SHELL)
    if options is None:
        return SUCCESS
    # SIGTERM and a closed terminal end things as Ctrl-C does: in order.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    # Each way imports only what it needs: the client takes ten times as long as Python's start.
    if options.command in ("status", "tasks"):
        from opspawn_jupyter.cli import glance

        if (code := glance.perform(options)) is not None:
            return code
    from opspawn_jupyter.cli.shell import perform

    return perform(options)


def _interrupt(*_: Any) -> None:
    raise KeyboardInterrupt


def _tell(problem: errors.OpspawnError) -> None:
    """The error on one line; mistakes in a file each on its own, as editors read them."""
    faults = problem.detail.get("faults", ())
    for fault in faults:
        place = ":".join(
            str(part)
            for part in (problem.detail.get("path"), fault["line"], fault["column"])
            if part is not None
        )
        sys.stderr.write(f"{place}: {fault['message']}\n")
    _complain(f"{len(faults)} to mend; nothing was run" if faults else str(problem))


def _complain(message: str) -> None:
    sys.stderr.write(f"opspawn: {' '.join(message.split())}\n")


def _make_lenient(stream: TextIO) -> None:
    """A terminal that lacks a glyph gets a question mark instead of an error."""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="replace")
