"""The application, the kernel and its shell as they are before a fork.

To read the arguments and to make IPython's shell takes most of the time that a kernel takes to come
up, and is the same for all of them. So the fork server does it once, and a fork adds what cannot be
shared: sockets, threads, an event loop, and whatever depends on the client.

That holds where IPython has no configuration file. Such a file is code, which may do anything, so
where there is one each fork reads it.
"""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Sequence
from typing import Any

from ipykernel.kernelapp import IPKernelApp
from IPython.core import interactiveshell

from . import history, start_up

#: The steps of ``IPKernelApp.initialize`` that are not taken again after the fork.
_STEPS = (
    "parse_command_line",
    "init_crash_handler",
    "init_config_files",
    "load_config_file",
    "update_config",
    "init_pdb",
    "init_shell",
)
_SUFFIXES = (".py", ".json")


def make(app: Any, arguments: Sequence[str]) -> None:
    """Make what can be made before a fork; ``initialize`` then does the rest."""
    super(IPKernelApp, app).initialize(list(arguments))
    app.init_pdb()
    names = vars(interactiveshell)
    usual = names["HistoryManager"]
    names["HistoryManager"] = history.HistoryManager
    try:
        app.kernel = app.kernel_class.instance(
            parent=app, log=app.log, profile_dir=app.profile_dir, user_ns=app.user_ns
        )
    finally:
        names["HistoryManager"] = usual
    app.init_shell()
    _prepare(app)
    # Only from here on: its own making asks for the instance as well.
    app.is_early = app.kernel.is_early = True


def _prepare(app: Any) -> None:
    """Have done by now what would be done at the first use of the parts."""
    app.session  # noqa: B018  makes it
    start_up.prepare(app)
    app.shell.display_formatter.format(1)
    app.shell.transform_cell("1")
    app.shell.history_manager.dir_hist  # noqa: B018  as above
    app.kernel.early_banner = app.kernel.banner
    # The application logs to its handlers only, so what none of them shows need not be made.
    app.log.setLevel(min((handler.level for handler in app.log.handlers), default=app.log.level))


def become(thing: Any, kind: type) -> None:
    """Be of another class, which a fork needs and the fork server could not know."""
    thing.__class__ = kind


def skip_what_is_made(app: Any) -> None:
    """Let ``initialize`` pass over the steps that were taken before the fork."""
    for step in _STEPS:
        setattr(app, step, _nothing)


def skip_nothing(app: Any) -> None:
    """Give the application its own steps back, for whoever calls them later."""
    for step in _STEPS:
        vars(app).pop(step, None)


def complete(kernel: Any, parts: dict[str, Any]) -> None:
    """Give a kernel that was made early what its class would have been called with now."""
    kernel.is_early = False
    for name in parts.keys() - {"parent", "user_ns"}:
        setattr(kernel, name, parts[name])
    kernel._stdout, kernel._stderr = sys.stdout, sys.stderr  # noqa: SLF001  of ipykernel
    _complete_debugger(kernel)
    _complete_shell(kernel)
    rename(kernel)


def rename(kernel: Any) -> None:
    """Give it a name that no other kernel has."""
    kernel.ident = kernel._default_ident()  # noqa: SLF001  of ipykernel
    kernel.shell.displayhook.topic = kernel._topic("execute_result")  # noqa: SLF001  as above


def note_streams(shell: Any) -> None:
    """Let a shell know which standard streams it goes back to."""
    state = shell._orig_sys_module_state  # noqa: SLF001  of IPython
    state.update(stdin=sys.stdin, stdout=sys.stdout, stderr=sys.stderr)


def _complete_debugger(kernel: Any) -> None:
    debugger = getattr(kernel, "debugger", None)
    if debugger is not None:
        debugger.session = kernel.session
        debugger.shell_socket = kernel.debug_shell_socket
        debugger.debugpy_client.debugpy_stream = kernel.debugpy_stream


def _complete_shell(kernel: Any) -> None:
    shell = kernel.shell
    for publisher in (shell.displayhook, shell.display_pub):
        publisher.session, publisher.pub_socket = kernel.session, kernel.iopub_socket
    note_streams(shell)
    # Exit handlers run last come, first served, and the shell's need the sockets.
    atexit.unregister(shell.atexit_operations)
    atexit.register(shell.atexit_operations)


def forget(app: Any) -> None:
    """Undo it, for a kernel that is started with other arguments."""
    shell: Any = interactiveshell.InteractiveShell.instance()
    atexit.unregister(shell.atexit_operations)
    shell.restore_sys_module_state()
    sys.excepthook = sys.__excepthook__
    for singleton in (shell, shell.kernel, app):
        type(singleton).clear_instance()


def configuration_files(app: Any) -> list[str]:
    """Where the application looks for its configuration."""
    names = {os.path.splitext(name)[0] for name in ("ipython_config", *app.config_files)}
    return [
        os.path.join(directory, name + suffix)
        for directory in app.config_file_paths
        for name in sorted(names)
        for suffix in _SUFFIXES
    ]


def _nothing(*_: Any, **__: Any) -> None:
    pass
