"""The life of a fork server, from its command line to its end."""

from __future__ import annotations

import gc
import logging
import os
import sys

from . import heap, ipc_files, safety, uses, warm
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
    files = _prepare(options, door)
    # Only now: the module imports ipykernel, which belongs to what is measured and warmed.
    from .server import ForkServer

    obstacle = safety.hazard() or _describe(safety.tied_object())
    gc.collect()
    heap.close_gaps()
    gc.freeze()
    ipc_files.remove_dead(door.prefix)
    server = ForkServer(options, door, surroundings, obstacle, files)
    server.rehearse()
    door.open()
    log.info("ready pid=%s modules=%s obstacle=%r", os.getpid(), len(sys.modules), obstacle)
    server.serve()


def _prepare(options: Options, door: Door) -> list[str]:
    """Import and make what kernels share. The configuration files that this depends on."""
    os.environ.setdefault("MPLBACKEND", _INLINE)  # matplotlib reads it when it is imported
    validation = os.environ.get("PYDEVD_DISABLE_FILE_VALIDATION")
    os.environ["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"  # else debugpy warns in every kernel
    from . import history, kernel, practice

    # The rehearsal is a fork, so it comes before the preloads, of which nothing is known.
    files, may_be_early = _rehearse(f"{door.prefix}.{os.getpid()}.rehearsal")
    warm.import_all(options.preload, logging.WARNING)
    uses.use_all(options.preload)
    safety.retire_threads()
    if may_be_early and options.spares > 0 and history.ARGUMENT in options.spare_arguments:
        kernel.make_early(options.spare_arguments)
        practice.practise(options.spare_arguments)
    del os.environ["PYDEVD_DISABLE_FILE_VALIDATION"]
    if validation is not None:
        os.environ["PYDEVD_DISABLE_FILE_VALIDATION"] = validation
    return files


def _rehearse(prefix: str) -> tuple[list[str], bool]:
    """Import what a kernel imports. Where it looks for its configuration, and whether its first
    half may be made before the forks."""
    from . import kernel

    modules, files = warm.rehearse(lambda: kernel.rehearse(prefix, is_early=True))
    is_early = bool(modules) and not any(map(os.path.exists, files))
    if not modules:  # of an ipykernel that cannot be made in two halves
        modules, files = warm.rehearse(lambda: kernel.rehearse(prefix, is_early=False))
    warm.import_all(modules)
    ipc_files.remove(prefix)
    return files, is_early


def _describe(kind: str | None) -> str | None:
    return kind and f"a preloaded module made a {kind}"


def _log_to_stderr() -> None:
    """The server's log; the root logger is left as every kernel expects to find it."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False
