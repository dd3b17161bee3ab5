"""IPython's extensions and start-up files, of which most kernels have only the usual ones.

To look for them as IPython does takes as long as a cell, nearly all of it to find nothing.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from . import once

_SUFFIXES = (".py", ".ipy")
#: What can be told to run in other ways.
_TOLD = ("exec_lines", "exec_files", "file_to_run", "code_to_run", "module_to_run")


def prepare(app: Any) -> None:
    """Before the fork: load what every kernel loads, and note what is imported."""
    once.install(app.shell)
    for name in app.default_extensions:
        app.shell.extension_manager.load_extension(name)
    app.shell._sys_modules_keys = set(sys.modules)  # noqa: SLF001  of IPython, for %reset -s


def has_extensions(app: Any) -> bool:
    """Whether there are more than those of every kernel."""
    return bool(app.extensions or getattr(app, "extra_extensions", None))


def has_code(app: Any) -> bool:
    """Whether anything is to be run before the first cell."""
    if any(getattr(app, name, None) for name in _TOLD) or os.environ.get("PYTHONSTARTUP"):
        return True
    return any(
        name.endswith(_SUFFIXES)
        for directory in app.config_file_paths
        for name in _names(os.path.join(directory, "startup"))
    )


def conclude(app: Any) -> None:
    """What ``init_code`` does where there is nothing to run."""
    shell = app.shell
    if app.hide_initial_ns:
        shell.user_ns_hidden.update(shell.user_ns)
    _note_new_modules(shell._sys_modules_keys)  # noqa: SLF001  as above


def _note_new_modules(known: set[str]) -> None:
    """Add what was imported since the names were noted. To look at each name would copy the memory
    that all of them are in; the newest stand last."""
    for name in reversed(sys.modules):
        if name in known:
            return
        known.add(name)


def forgo_aliases(shell: Any) -> None:
    """Before the end: the shell clears all that is the user's, and would make its own aliases anew,
    which takes as long as all the rest."""
    for name in ("clear_aliases", "init_aliases", "soft_define_alias"):
        setattr(shell.alias_manager, name, _nothing)


def _nothing(*_: Any) -> None:
    pass


def _names(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except OSError:
        return []
