"""ipykernel's application, as it is in a fork: what it does in other ways than ipykernel's own."""

from __future__ import annotations

import atexit
import json
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ipykernel import kernelapp
from ipykernel.kernelapp import IPKernelApp
from jupyter_client.session import new_id_bytes
from tornado.ioloop import IOLoop
from traitlets import default

from . import early, iopub, messages, start_up
from .family import has_children
from .kernel_class import ForkedKernel
from .line import ENDING
from .owner import Owner, is_possible
from .session import QuickSession
from .surroundings import take_files

#: How long the end of a kernel waits for its control thread to send the last messages.
_CONTROL_SECONDS = 1.0

_CHANNELS = ("shell", "iopub", "stdin", "control", "hb")


class ForkedKernelApp(IPKernelApp):
    """A kernel that may have to wait for its client before it runs the user's start-up code."""

    #: Its kernel and shell were made before the fork.
    is_early = False
    #: Up, but without a client so far.
    waits = False
    #: Its message handlers are in place already.
    is_started = False
    #: Told once clients can connect, before any of the user's code runs.
    on_bound: Callable[[], None] | None = None
    #: Descriptors that it takes beside its standard streams.
    lines = int(is_possible())
    #: For whom it was made, if they speak on a line.
    owner: Owner | None = None
    #: How clients reach it, once that was asked.
    _reached: Mapping[str, Any] | None = None
    #: Threads that there are without the user's.
    own_threads: frozenset[threading.Thread] = frozenset()

    @default("session")
    def _default_session(self) -> QuickSession:
        session = QuickSession(parent=self)
        messages.quicken(session)
        return session

    @default("kernel_class")
    def _default_kernel_class(self) -> type[ForkedKernel]:
        return ForkedKernel

    def initialize(self, argv: Any = None) -> None:
        """Come up."""
        if not self.is_early:
            super().initialize(argv)  # type: ignore[no-untyped-call]  # of ipykernel
            return
        messages.renew(self.session, self.new_key())
        early.skip_what_is_made(self)
        super().initialize(argv)  # type: ignore[no-untyped-call]  # as above
        early.skip_nothing(self)

    @default("outstream_class")
    def _default_outstream_class(self) -> str:
        return f"{iopub.OutStream.__module__}.OutStream"

    def init_iopub(self, context: Any) -> None:
        """Output goes out where it is made."""
        vars(kernelapp)["IOPubThread"] = iopub.IOPubThread
        super().init_iopub(context)  # type: ignore[no-untyped-call]  # as above

    def init_poller(self) -> None:
        """Nothing: the fork server watches over the client, and the system over the server."""

    def init_connection_file(self) -> None:
        """Read the connection file; a waiting kernel makes up its own ports and key."""
        if not self.waits:
            super().init_connection_file()  # type: ignore[no-untyped-call]  # of ipykernel

    def write_connection_file(self, **kwargs: Any) -> None:
        """Write it, the sockets being bound; of a waiting kernel the client writes it."""
        if not self.waits:
            super().write_connection_file(**kwargs)
        if self.on_bound is not None:
            self.on_bound()

    def log_connection_info(self) -> None:
        """Note the ports; how to reach a waiting kernel is not for the log."""
        if self.waits:
            self._ports = {name: getattr(self, f"{name}_port") for name in _CHANNELS}
        else:
            super().log_connection_info()  # type: ignore[no-untyped-call]  # of ipykernel

    def init_extensions(self) -> None:
        """Load IPython extensions, once the environment is the client's."""
        if self.waits or (self.is_early and not start_up.has_extensions(self)):
            return
        super().init_extensions()  # type: ignore[no-untyped-call]  # as above

    def init_code(self) -> None:
        """Run IPython's start-up files, once the environment is the client's."""
        if self.waits:
            return
        if self.is_early and not start_up.has_code(self):
            start_up.conclude(self)
        else:
            super().init_code()  # type: ignore[no-untyped-call]  # as above

    def start(self) -> None:
        """Serve until shutdown."""
        if self.owner is not None:
            self.owner.begin()
        if self.is_started:
            self.io_loop = IOLoop.current()
            self.io_loop.start()
        else:
            super().start()  # type: ignore[no-untyped-call]  # as above

    def serve_client(self, connection_file: str, kernel_name: str = "") -> None:
        """Stop waiting: what depends on environment and directory is done now."""
        self.waits = False
        self.connection_file = connection_file
        if self.owner is not None:  # whose cells may run before it could write the file itself
            self._tell_everybody(kernel_name)
        shell: Any = self.shell
        here = Path.cwd()
        shell.starting_dir = str(here)
        shell.history_manager.dir_hist[:] = [here]
        if "JPY_SESSION_NAME" in os.environ:
            shell.user_ns["__session__"] = os.environ["JPY_SESSION_NAME"]
        self.own_threads = frozenset(threading.enumerate())
        self.init_extensions()
        self.init_code()

    def info(self) -> Mapping[str, Any]:
        """What it answers to a request for its info."""
        return {"status": "ok", **self.kernel.kernel_info}

    def has_company(self) -> bool:
        """Whether threads or processes of the user's may still do something."""
        return has_children() or not self.own_threads.issuperset(threading.enumerate())

    def new_key(self) -> bytes:
        """What its messages are signed with."""
        return new_id_bytes()

    def take(self, files: Sequence[int]) -> None:
        """Its standard streams, as its client gives them, and the line to it where there is one."""
        take_files(files[:3])
        if self.lines and len(files) > 3:
            self._belong_to(Owner(self, files[3]))

    def _belong_to(self, owner: Owner) -> None:
        session: Any = self.session
        self.owner, session.owner = owner, owner.channel
        self.kernel.line = self.iopub_thread.line = owner.line

    def be_released(self) -> None:
        """Belong to nobody any more."""
        session: Any = self.session
        self.owner = session.owner = self.kernel.line = self.iopub_thread.line = None

    async def shut_down(self) -> None:
        """As its owner asks for it."""
        await self.kernel.shut_down()
        self.io_loop.stop()

    def say_last(self, status: int) -> bool:
        """Tell its owner that all is done, with the exit code; whether there is one to be told."""
        if self.owner is not None:
            self.owner.line.send(ENDING, [b"%d" % status])
        return self.owner is not None

    def close(self) -> None:
        """Close what anybody may still hear something on."""
        if self._is_private:
            self.reset_io()  # type: ignore[no-untyped-call]  # of ipykernel
        else:
            super().close()  # type: ignore[no-untyped-call]  # as above

    @property
    def _is_private(self) -> bool:
        """Nobody but its owner has anything to do with it."""
        return self.owner is not None and not self.iopub_thread.has_listeners

    def _tell_everybody(self, kernel_name: str) -> None:
        """Write the connection file: the user's code may look there."""
        told = {**self.connection(), "kernel_name": kernel_name, "jupyter_session": ""}
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        with open(os.open(self.connection_file, flags, 0o600), "w") as file:
            file.write(json.dumps(told))

    def connection(self) -> Mapping[str, Any]:
        """How a client reaches this kernel, as in a connection file."""
        self._reached = self._reached or self._connection()
        return self._reached

    def _connection(self) -> Mapping[str, Any]:
        return {
            "transport": self.transport,
            "ip": self.ip,
            "key": self.session.key.decode(),
            "signature_scheme": self.session.signature_scheme,
            **{f"{name}_port": getattr(self, f"{name}_port") for name in _CHANNELS},
        }

    def settle(self) -> None:
        """Let nobody read the history any more, nor make aliases anew, and the control thread
        finish while there is still an iopub thread to write to.

        ``close`` stops iopub first; a control thread that still flushes its output then waits
        ten seconds for it (ipykernel 7.4), which one in ten kernels did.
        """
        shell: Any = self.shell
        if self.is_early and shell.history_manager is not None:
            shell.history_manager.is_over = True
        start_up.forgo_aliases(shell)
        if self._is_private:
            atexit.unregister(self.iopub_thread.stop)
        thread = None if self._is_private else self.control_thread
        if thread is not None and thread.is_alive():
            thread.stop()
            thread.join(_CONTROL_SECONDS)


def instance() -> ForkedKernelApp:
    """The application of this process: that of the fork server, or a new one."""
    app: ForkedKernelApp = ForkedKernelApp.instance()
    if app.parent_handle != 1:  # "the parent is process 1": no advice about Ctrl-C on the terminal
        app.parent_handle = 1
    return app
