"""The rest of a kernel's life, without a client: to learn from it what memory a life takes."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Sequence
from typing import Any

from . import kernel, start_up, wire
from .app import ForkedKernelApp
from .exercise import Request, requests
from .surroundings import Surroundings

#: What notebooks do.
_REQUESTS = requests("import os\nx = 41 + 1", "print(x)", "x", leaves_trace=True)
#: About as many variables as a user's environment has, and as long.
_ENVIRONMENT = {f"OPSPAWN_TRIAL_{number}": "-" * 60 for number in range(40)}


def live(
    app: ForkedKernelApp,
    exercise: Callable[[Any, Sequence[Request]], None],
    surroundings: Surroundings,
) -> None:
    """Take an order, run cells, end. Runs no code of the user's, and writes to nobody."""
    surroundings.adopt(_order(app))
    client, line = socket.socketpair()
    files = [os.open(os.devnull, os.O_RDWR) for _ in range(3)]
    app.take([*files, line.detach()][: len(files) + app.lines])
    app.waits = False
    start_up.conclude(app)
    exercise(app, _REQUESTS)
    kernel.end(app)
    client.close()


def _order(app: ForkedKernelApp) -> wire.Message:
    """As it comes, once the kernel has said what it is; where it has nothing to say, it comes with
    the order."""
    surroundings = {"environment": {**os.environ, **_ENVIRONMENT}, "directory": os.getcwd()}
    own = {**surroundings, "arguments": sys.argv[1:], "command": sys.orig_argv}
    connection = dict(app.connection())
    if not connection:
        return own
    server, line = wire.pair()
    wire.send(line, {"connection": connection})
    wire.send(server, own)
    order, _ = wire.receive(line)
    return order or {}
