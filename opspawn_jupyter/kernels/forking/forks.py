"""Children of the fork server: how each begins, and what it then is."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import NoReturn

from . import direct, family, first, kernel, process
from .app import ForkedKernelApp
from .options import Options
from .pages import Pages
from .surroundings import Surroundings, take_files
from .wire import Message


class Forks:
    """Makes them. ``give_up`` closes, in the fork, what is the server's alone."""

    def __init__(
        self, options: Options, surroundings: Surroundings, give_up: Callable[[], None]
    ) -> None:
        self._options = options
        self._surroundings = surroundings
        self._give_up = give_up
        self._server_pid = os.getpid()

    def make(self, live: Callable[[], NoReturn], memory: Pages | None = None) -> int:
        """A fork that lives like this, and has this memory to itself from the first."""
        sys.stdout.flush()
        sys.stderr.flush()
        pid = first.fork(None if memory is None else memory.copy)
        if pid == 0:
            self._become(live)
        return pid

    def start(self, order: Message, files: Sequence[int], bound: tuple[int, int]) -> int:
        """A kernel for a connection file that the client wrote; once clients can connect, its end
        of ``bound`` is closed."""
        return self.make(lambda: self._start(order, files, bound))

    def _become(self, live: Callable[[], NoReturn]) -> NoReturn:
        try:
            process.begin(self._server_pid)
            if self._options.mark:
                family.adopt_orphans()
            self._give_up()
            live()
        except BaseException:  # a fork must never return into the code of the server
            traceback.print_exc()
        finally:
            os._exit(1)

    def _start(self, order: Message, files: Sequence[int], bound: tuple[int, int]) -> NoReturn:
        reader, writer = bound
        os.close(reader)
        direct.withdraw()
        take_files(files)
        self._surroundings.adopt(order)
        kernel.run(kernel.start(order["arguments"], lambda: os.close(writer)))


def bring_up_kernel(options: Options, prefix: str) -> ForkedKernelApp:
    """In the fork: a spare with sockets."""
    direct.withdraw()
    return kernel.bring_up(options.spare_arguments, options.transport, prefix)


def bring_up_direct(options: Options, _prefix: str) -> ForkedKernelApp:
    """In the fork: one without."""
    return direct.bring_up(options.spare_arguments)
