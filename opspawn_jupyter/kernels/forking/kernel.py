"""The life of a kernel in a fork: brought up early, given to a client later, ended cleanly."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NoReturn

from . import early, ending, history
from .app import ForkedKernelApp, instance


def make_early(arguments: Sequence[str]) -> None:
    """Make what all waiting kernels have in common; ``bring_up`` in a fork goes on with it."""
    early.make(instance(), arguments)


def bring_up(arguments: Sequence[str], transport: str = "ipc", prefix: str = "") -> ForkedKernelApp:
    """A kernel without a client, reachable at sockets that it bound itself."""
    app = instance()
    app.waits = True
    app.transport = transport
    if transport == "ipc":
        app.ip = prefix
    app.initialize(list(arguments))
    connect_plots()
    return app


def start(arguments: Sequence[str], on_bound: Callable[[], None]) -> ForkedKernelApp:
    """A kernel for the connection file that the arguments name."""
    if ForkedKernelApp.initialized():
        early.forget(instance())
    app = instance()
    app.on_bound = on_bound
    app.initialize(list(arguments))
    connect_plots()
    return app


def is_made_early() -> bool:
    """Whether forks have half of their kernel from here."""
    return ForkedKernelApp.initialized() and instance().is_early


def rehearse(prefix: str, *, is_early: bool) -> list[str]:
    """Bring a kernel up and use it a little, to have imported what that takes. Where it looks for
    its configuration."""
    arguments = [history.ARGUMENT]
    if is_early:
        make_early(arguments)
    app = bring_up(arguments, prefix=prefix)
    shell = app.kernel.shell
    for code in ("1 + 1", "1 / 0", "import os\nos.environ", "%who", "%load_ext storemagic"):
        shell.run_cell(code, store_history=True)
    shell.complete("pri")
    app.kernel.do_inspect("print", 3)
    return early.configuration_files(app)


def run(app: ForkedKernelApp, tell: Callable[[int], object] | None = None) -> NoReturn:
    """Serve the client until shutdown, then end the process as the interpreter would. That all is
    done is told with the exit code, where nothing can happen any more but the end: to the kernel's
    owner on its line, else to whoever tells the client."""
    status = 0
    try:
        app.start()
    except SystemExit as wish:
        status = ending.status(wish.code)
    except BaseException:  # the process ends here, whatever it was
        traceback.print_exc(file=sys.__stderr__)
        status = 1
    end(app)
    status &= 0xFF  # all that the system keeps of it
    if tell is not None and not app.has_company() and not app.say_last(status):
        with suppress(OSError):  # the fork server is gone, and so are we
            tell(status)
    os._exit(status)


def end(app: ForkedKernelApp) -> None:
    """All that is to be done before the process may end."""
    app.settle()
    ending.leave()


def connect_plots() -> None:
    """Tell a preloaded inline backend about the shell, which was not there at its import."""
    backend = sys.modules.get("matplotlib_inline.backend_inline")
    if backend is not None:
        vars(backend)["_enable_matplotlib_integration"]()
