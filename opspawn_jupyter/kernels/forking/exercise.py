"""A waiting kernel answers itself once, so that its client's first cell runs on warm memory.

What a fork touches for the first time is copied by the system, page by page; on the way of one
cell through the channels, threads and the shell, that is several milliseconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import zmq
from tornado.ioloop import IOLoop

from .app import ForkedKernelApp

#: Content of a message, and what a kernel is exercised with.
Request = dict[str, Any]


def requests(*codes: str, leaves_trace: bool = False) -> Sequence[Request]:
    """To execute these; what leaves no trace is silent."""
    return [
        {
            "code": code,
            "silent": not leaves_trace,
            "store_history": leaves_trace,
            "user_expressions": {},
            "allow_stdin": False,
        }
        for code in codes
    ]


#: What runs in most first cells, without a trace.
REQUESTS = requests("None", "print(end=''); 1")
_POLL_SECONDS = 0.0005
#: A kernel that has not answered by then is given to its client as it is.
_MAX_SECONDS = 2.0


def exercise(app: ForkedKernelApp, asked: Sequence[Request]) -> None:
    """Ask for the kernel's info on both channels, and run cells."""
    if not app.is_started:
        app.kernel.start()
        app.is_started = True
    loop: Any = IOLoop.current()  # tornado's type does not know its asyncio loop
    loop.asyncio_loop.run_until_complete(_talk(app, asked))
    app.kernel.set_parent([], {}, channel="shell")  # output from here on answers nobody


async def _talk(app: ForkedKernelApp, asked: Sequence[Request]) -> None:
    session = app.session.clone()
    with _connect(app, "iopub", zmq.SUB) as iopub:
        iopub.subscribe(b"")
        for channel in ("control", "shell"):
            with _connect(app, channel, zmq.DEALER) as line:
                session.send(line, "kernel_info_request", {})
                await _arrival(line)
                for request in asked if channel == "shell" else ():
                    session.send(line, "execute_request", request)
                    await _arrival(line)
        show_something(app.shell)


def show_something(shell: Any) -> None:
    """Send a result, as for a cell's last expression, to nobody, and keep nothing of it."""
    hook = shell.displayhook
    hook.start_displayhook()
    hook.write_output_prompt()
    hook.write_format_data(*hook.compute_format_data(1))
    hook.finish_displayhook()


def _connect(app: ForkedKernelApp, channel: str, kind: int) -> Any:
    address, context = app.connection(), cast("zmq.Context[Any]", app.context)
    separator = ":" if address["transport"] == "tcp" else "-"
    line = context.socket(kind)
    line.linger = 0
    line.connect(f"{address['transport']}://{address['ip']}{separator}{address[f'{channel}_port']}")
    return line


async def _arrival(line: Any) -> None:
    now = asyncio.get_running_loop().time
    deadline = now() + _MAX_SECONDS
    while not line.poll(0) and now() < deadline:  # noqa: ASYNC110  a zmq socket has no event
        await asyncio.sleep(_POLL_SECONDS)
    while line.poll(0):
        line.recv_multipart()
