"""The life of a fork server, from its command line to its end."""

from __future__ import annotations

import gc
import logging
import os
import sys

from . import ipc_files, safety, uses, warm
from .door import Door
from .options import Options
from .surroundings import Surroundings

log = logging.getLogger("opspawn_forking")

_INLINE = "module://matplotlib_inline.backend_inline"


def main(arguments: list[str]) -> None:
    """Serve under the given name and options, unless another server does already."""
    name, options = arguments[0], Options.load(arguments[1])
    os.setsid()  # no terminal's signals, and none of its starter's
    os.chdir("/")
    _log_to_stderr()
    door = Door(options.directory, name)
    if not door.claim():
        return
    surroundings = Surroundings(options.mark)
    _import(options, door)
    # Only now: the module imports ipykernel, which belongs to what is measured and warmed.
    from .server import ForkServer

    obstacle = safety.hazard() or _describe(safety.tied_object())
    gc.collect()
    gc.freeze()
    ipc_files.remove_dead(door.prefix)
    door.open()
    log.info("ready pid=%s modules=%s obstacle=%r", os.getpid(), len(sys.modules), obstacle)
    ForkServer(options, door, surroundings, obstacle).serve()


def _import(options: Options, door: Door) -> None:
    os.environ.setdefault("MPLBACKEND", _INLINE)  # matplotlib reads it when it is imported
    validation = os.environ.get("PYDEVD_DISABLE_FILE_VALIDATION")
    os.environ["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"  # else debugpy warns in every kernel
    from . import kernel

    # The rehearsal is a fork, so it comes before the preloads, of which nothing is known.
    prefix = f"{door.prefix}.{os.getpid()}.rehearsal"
    warm.import_all(warm.modules_used_by(lambda: kernel.rehearse(prefix)))
    ipc_files.remove(prefix)
    warm.import_all(options.preload, logging.WARNING)
    uses.use_all(options.preload)
    safety.retire_threads()
    del os.environ["PYDEVD_DISABLE_FILE_VALIDATION"]
    if validation is not None:
        os.environ["PYDEVD_DISABLE_FILE_VALIDATION"] = validation


def _describe(kind: str | None) -> str | None:
    return kind and f"a preloaded module made a {kind}"


def _log_to_stderr() -> None:
    """The server's log; the root logger is left as every kernel expects to find it."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False
