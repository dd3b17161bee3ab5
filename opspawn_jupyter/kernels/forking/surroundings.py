"""Environment, directory, command line and files of a kernel, put in place after the fork."""

from __future__ import annotations

import importlib.util
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

from . import label, variables


class Surroundings:
    """Remembers the environment that the fork server was started with, and which variable of a
    kernel's is shown to whoever looks at it from outside, and where."""

    def __init__(self, mark: str = "") -> None:
        self._mark = mark
        self._place = label.place()
        self._at_start = dict(variables.known())
        self._temporary = _temporary_places()
        launcher = importlib.util.find_spec("ipykernel_launcher")
        self._launcher = str(launcher.origin) if launcher else "ipykernel_launcher"

    def adopt(self, order: Mapping[str, Any]) -> None:
        """Take on the environment, directory and command line of a client's order.

        What imports and the kernel's own start-up have set since then is kept, as it would have
        been set in a kernel started the ordinary way.
        """
        own = {k: v for k, v in variables.known().items() if self._at_start.get(k) != v}
        encoded = variables.encoded
        wanted = {encoded(k): encoded(v) for k, v in order["environment"].items()}
        variables.replace({**wanted, **own})
        os.chdir(order["directory"])
        _forget_cached(is_temporary_elsewhere=self._temporary != _temporary_places())
        sys.argv[:] = [self._launcher, *order["arguments"]]
        sys.orig_argv[:] = order["command"]
        label.write(order["command"], self._mark, self._place)


def _temporary_places() -> list[str | None]:
    """What ``tempfile`` goes by."""
    return [os.environ.get(name) for name in ("TMPDIR", "TEMP", "TMP")]


def _forget_cached(*, is_temporary_elsewhere: bool) -> None:
    # It is found out by writing a file, for which a kernel need not stop again.
    if is_temporary_elsewhere or tempfile.tempdir == os.sep:
        tempfile.tempdir = None
    processes = sys.modules.get("multiprocessing.process")
    if processes is not None:
        # What the child processes of a spawn take for the directory of the main program.
        vars(processes)["ORIGINAL_DIR"] = os.getcwd()


def take_files(files: Sequence[int]) -> None:
    """Make the client's three files standard input, output and error.

    Where the kernel has its own pipe on 1 and 2 already, the files go behind it.
    """
    streams = (None, sys.stdout, sys.stderr)
    for number, file in enumerate(files):
        os.dup2(file, getattr(streams[number], "_original_stdstream_copy", None) or number)
        os.close(file)
