"""Importing what kernels will need, so that no kernel has to."""

from __future__ import annotations

import importlib
import json
import logging
import os
import sys
from collections.abc import Callable, Iterable

log = logging.getLogger("opspawn_forking")


def import_all(names: Iterable[str], level: int = logging.DEBUG) -> None:
    """Import the modules; one that cannot be imported is left to the kernels that want it."""
    for name in names:
        if name in sys.modules:
            continue
        try:
            importlib.import_module(name)
        except Exception as error:  # a foreign module's import runs foreign code
            log.log(level, "module not preloaded name=%s error=%s", name, type(error).__name__)


def rehearse(rehearsal: Callable[[], list[str]]) -> tuple[list[str], list[str]]:
    """Names of the modules that the rehearsal imports, and what it returns; nothing where it fails.

    It runs in a fork and leaves no trace. No list of modules by hand could keep up with ipykernel
    and IPython.
    """
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        _rehearse(rehearsal, reader, writer)
    os.close(writer)
    with open(reader, "rb") as answer:
        text = answer.read()
    os.waitpid(pid, 0)
    modules, told = json.loads(text or b"[[], []]")
    return modules, told


def _rehearse(rehearsal: Callable[[], list[str]], reader: int, writer: int) -> None:
    try:
        os.close(reader)
        before = set(sys.modules)
        told = rehearsal()
        new = [name for name in sys.modules if name not in before and not name.startswith("__")]
        with open(writer, "wb") as answer:
            answer.write(json.dumps([new, told]).encode())
    except BaseException:  # a fork must never return into the code of its parent
        log.exception("rehearsal failed")
    finally:
        os._exit(0)
