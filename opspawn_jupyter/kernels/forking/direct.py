"""A kernel without sockets and without their threads: ipykernel's, with one line to its client.

Everything else is as in any kernel: messages, configuration, start-up files, magics, plots,
widgets. Nobody but the client can reach it.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from ipykernel.displayhook import ZMQDisplayHook
from tornado.ioloop import IOLoop
from traitlets import Any as AnyTrait

from . import early, messages
from .app import ForkedKernelApp, instance
from .capture import Capture
from .exercise import Request, show_something
from .kernel import connect_plots
from .kernel_class import ForkedKernel
from .line import AHEAD, ENDING, IOPUB, SHELL, Channel, Frames, Line
from .surroundings import take_files
from .told import Told
from .turn import let_others_run


class DirectKernel(ForkedKernel):
    """The kernel, for messages that come on a line."""

    shell_stream = AnyTrait()  # a channel, which is no ZMQStream
    _supports_kernel_subshells = False
    #: What the cell put out is told through it.
    capture = AnyTrait()
    line = AnyTrait()

    def gather(self) -> None:
        """See the base class; also what was written to the file descriptors."""
        self.capture.drain()

    @property
    def _published(self) -> Any:
        return self.iopub_socket

    def _serves_owner(self) -> bool:
        return True  # and nobody else


class DirectKernelApp(ForkedKernelApp):
    """Brings it up, and serves."""

    lines = 1
    #: Brought up before the fork, as far as that goes.
    is_prepared = False

    def init_sockets(self) -> None:
        """None: the line takes their place."""
        self.line = Line()
        self.session.key = self.new_key()
        self.iopub_socket = Channel(self.line, IOPUB)
        self.shell_socket = Channel(self.line, SHELL)

    def new_key(self) -> bytes:
        """None: nobody else can write to the line."""
        return b""

    def init_heartbeat(self) -> None:
        """None: the client sees the end of the line."""

    def init_io(self) -> None:
        """Standard output and error become messages."""
        self.capture = Capture(self._tell, self.line.flush)
        sys.stdout, sys.stderr = self.capture.streams
        self.displayhook = ZMQDisplayHook(self.session, self.iopub_socket)  # type: ignore[no-untyped-call]
        sys.displayhook = self.displayhook
        self.patch_io()  # type: ignore[no-untyped-call]  # of ipykernel

    def init_kernel(self) -> None:
        """The kernel, without the streams that it usually has."""
        self.kernel = DirectKernel.instance(
            parent=self,
            session=self.session,
            shell_stream=self.shell_socket,
            shell_channel_thread=SimpleNamespace(parent_thread=threading.main_thread()),
            iopub_socket=self.iopub_socket,
            capture=self.capture,
            line=self.line,
            log=self.log,
            profile_dir=self.profile_dir,
            user_ns=self.user_ns,
        )
        self.displayhook.get_execution_count = lambda: self.kernel.execution_count

    def begin(self) -> None:
        """Have what only a fork can have: a name, files, a thread, a loop."""
        if self.is_prepared:
            messages.renew(self.session, self.new_key())
            early.rename(self.kernel)
        self.capture.install()
        self.kernel.io_loop = IOLoop.current()

    def take(self, files: Sequence[int]) -> None:
        """Its standard streams, and the line to its client."""
        take_files(files[:3])
        # Python's own streams stay with the client's files, as in other kernels.
        for number, name in ((1, "__stdout__"), (2, "__stderr__")):
            vars(sys)[name] = os.fdopen(os.dup(number), "w", buffering=1)
        self.line.attach(files[3])
        self.capture.start()

    def connection(self) -> Mapping[str, Any]:
        """Nobody can connect."""
        return {}

    def say_last(self, status: int) -> bool:
        """See the base class."""
        self.line.send(ENDING, [b"%d" % status])
        return True

    def exercise(self, asked: Sequence[Request]) -> None:
        """Run cells, so that the client's first finds warm memory."""
        for content in asked:
            message = self.session.msg("execute_request", content)
            _loop().run_until_complete(self._dispatch(self.session.serialize(message)))
        show_something(self.shell)
        sys.stdout.flush()
        self.kernel.set_parent([], {}, channel="shell")

    def start(self) -> None:
        """Serve until the client is gone or asks for the end."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # between cells it is for nobody
        _loop().run_until_complete(self._serve())

    async def _serve(self) -> None:
        frames = Frames()
        while data := await self.line.read():
            goes_on = await self._answer(frames, deque(frames.feed(data)))
            self.line.flush()
            if not goes_on:
                return

    async def _answer(self, frames: Frames, waiting: deque[tuple[bytes, list[bytes]]]) -> bool:
        """Answer what has come, and what comes meanwhile; False where that is the end."""
        while waiting:
            if not self._hear(frames, waiting):
                return False
            channel, parts = waiting.popleft()
            told = Told(parts, is_ahead=channel == AHEAD)
            if self.kernel.passes_over(told):
                continue
            if told.is_farewell:
                return False
            await self._dispatch(parts)
            await let_others_run(1)
        return True

    def _hear(self, frames: Frames, waiting: deque[tuple[bytes, list[bytes]]]) -> bool:
        """Take all that has come by now; False where nobody wants what waits any more."""
        while (news := self.line.read_now()) is not None:
            if not news:
                return False
            waiting.extend(frames.feed(news))
        return True

    async def _dispatch(self, parts: Sequence[Any]) -> None:
        await self.kernel.dispatch_shell(parts)

    def _tell(self, name: str, text: str) -> None:
        parent = self.kernel.get_parent("shell")
        message = self.session.msg("stream", {"name": name, "text": text}, parent)
        self.iopub_socket.hold(self.session.serialize(message))


def _loop() -> asyncio.AbstractEventLoop:
    loop: Any = IOLoop.current()  # tornado's type does not know its asyncio loop
    found: asyncio.AbstractEventLoop = loop.asyncio_loop
    return found


def prepare(arguments: Sequence[str]) -> DirectKernelApp:
    """Before the fork, where half of each kernel is made: bring up all that forks can share. The
    standard streams are its own then."""
    app = _initialize(arguments)
    app.is_prepared = True
    return app


def withdraw() -> None:
    """In the fork: undo it, for a kernel with sockets."""
    app = instance() if ForkedKernelApp.initialized() else None
    if isinstance(app, DirectKernelApp):
        kernel: Any = app.kernel
        early.become(app, ForkedKernelApp)
        early.become(kernel, ForkedKernel)
        kernel.is_early = True
        early.note_streams(kernel.shell)


def bring_up(arguments: Sequence[str]) -> DirectKernelApp:
    """A kernel without a client."""
    found: Any = instance()
    app = found if isinstance(found, DirectKernelApp) else _initialize(arguments)
    app.begin()
    return app


def _initialize(arguments: Sequence[str]) -> DirectKernelApp:
    app: Any = instance()
    early.become(app, DirectKernelApp)
    if app.is_early:
        early.become(ForkedKernel.instance(), DirectKernel)
    app.waits = True
    app.initialize(list(arguments))
    connect_plots()
    direct: DirectKernelApp = app
    return direct
