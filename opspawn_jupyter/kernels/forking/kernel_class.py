"""ipykernel's kernel, without what a forked one has no need of."""

from __future__ import annotations

import inspect
import os
import sys
from types import FunctionType
from typing import Any

from ipykernel import ipkernel
from ipykernel.ipkernel import IPythonKernel
from traitlets import default

from . import early, ending, once
from .family import has_children
from .iopub import OutStream
from .line import DROPS
from .told import Told, is_owners


class ForkedKernel(IPythonKernel):
    """Answers and ends at once."""

    #: Made before the fork, and still without what only a fork can have.
    is_early = False
    #: What it greets with, where that was made before the fork.
    early_banner: str | None = None
    #: Where the one speaks for whom it was made, if there is a line to them.
    line: Any = None
    #: Whatever was sent before the client knew how the last cell ended is passed over.
    drops_ahead = False

    @classmethod
    def instance(cls, *args: Any, **parts: Any) -> Any:
        """The kernel of this process; one that was made before the fork is given its parts."""
        kernel: Any = super().instance(*args, **parts)
        if kernel.is_early and parts:
            early.complete(kernel, parts)
        return kernel

    @default("_execute_sleep")
    def _default_execute_sleep(self) -> float:
        """None after each cell: clients read output up to the cell's ``idle``, which the iopub
        thread sends after it, and the pause is for those that do not."""
        return 0.0

    @property
    def banner(self) -> Any:  # type: ignore[override]  # as in the base class
        """What it greets with."""
        return self.early_banner or super().banner

    async def do_execute(
        self,
        code: str,
        silent: bool,
        store_history: bool = True,
        user_expressions: Any = None,
        allow_stdin: bool = False,
        *,
        cell_meta: Any = None,
        cell_id: str | None = None,
    ) -> dict[str, Any]:
        """Run the cell. To its owner that it runs is told before it can do anything, and with it
        how the last one ended; and what it put out goes with its reply."""
        if self.line is not None:
            self.line.flush()
        once.expect(self.shell, code)
        pid = os.getpid()
        reply: dict[str, Any] = await super().do_execute(  # type: ignore[no-untyped-call]
            code, silent, store_history, user_expressions, allow_stdin,
            cell_meta=cell_meta, cell_id=cell_id,
        )  # fmt: skip
        if os.getpid() != pid:  # two kernels would share its channels
            ending.leave_fork(_problem(self.shell))
        if self.line is not None:
            self.gather()
        return reply

    def gather(self) -> None:
        """Have what was put out told before long. ipykernel flushes four times more until it has
        told the end of the cell."""
        streams = _streams()
        with self.iopub_thread.patience():
            for stream in streams:
                stream.flush()
        for stream in streams:
            stream.is_done = True

    async def dispatch_shell(self, msg: Any, /, *args: Any, **options: Any) -> None:
        """Carry out a request. The owner's are not put off by another client's cell that failed."""
        if isinstance(msg, Told):
            if self.passes_over(msg):
                return
            self._aborting = False
        try:
            await super().dispatch_shell(msg, *args, **options)
        finally:
            for stream in _streams():
                stream.is_done = False

    def passes_over(self, told: Told) -> bool:
        """Whether it is not to be carried out any more, now that its turn has come."""
        if told.is_cell and not told.is_ahead:
            self.drops_ahead = False
        return told.is_ahead and self.drops_ahead

    def finish_metadata(self, parent: Any, metadata: Any, reply_content: Any) -> Any:
        """Say so where the owner may have been asked something: it is to answer before the next
        cell runs."""
        found: dict[str, Any] = super().finish_metadata(parent, metadata, reply_content)  # type: ignore[no-untyped-call]
        if self.line is not None and self._published.has_asked and self._serves_owner():
            self._published.has_asked, self.drops_ahead = False, True
            found[DROPS] = True
        return found

    def _abort_queues(self, *args: Any) -> None:
        """What the owner sent ahead is not to run; or what all others sent."""
        if self._serves_owner():
            self.drops_ahead = True
        else:
            super()._abort_queues(*args)

    async def shut_down(self) -> None:
        """End what was begun, and let others know of the end."""
        told = self.do_shutdown(restart=False)  # type: ignore[no-untyped-call]
        if inspect.isawaitable(told):  # as it may be of a subclass's
            told = await told
        await self._progressively_terminate_all_children()  # type: ignore[no-untyped-call]
        topic = self._topic("shutdown")  # type: ignore[no-untyped-call]
        session: Any = self.session  # of traits
        session.send(self.iopub_socket, "shutdown_reply", told, ident=topic)
        self.line.flush()

    @property
    def _published(self) -> Any:
        """Knows whether the owner was asked something."""
        return self.iopub_thread

    def _serves_owner(self) -> bool:
        """Whether what is carried out was asked by the owner."""
        return self.line is not None and is_owners(self._parent_ident["shell"])

    def _process_children(self) -> list[Any]:
        """Those that a shutdown has to end. To look for them reads every process of the system,
        which takes 11 ms; most kernels have none, as one call tells."""
        if not has_children():
            return []
        found: list[Any] = super()._process_children()  # type: ignore[no-untyped-call]
        return found


def _streams() -> list[OutStream]:
    """Standard output and error, as far as they are the kernel's."""
    return [stream for stream in (sys.stdout, sys.stderr) if isinstance(stream, OutStream)]


def _problem(shell: Any) -> BaseException | None:
    """What the last cell has raised."""
    ended = shell.last_execution_result
    problem: BaseException | None = ended.error_before_exec or ended.error_in_exec
    return problem


_accepts_parameters: Any = getattr(ipkernel, "_accepts_parameters", None)
_known: dict[tuple[FunctionType, tuple[str, ...]], dict[str, bool]] = {}


def _accepts_known_parameters(method: Any, names: list[str]) -> dict[str, bool]:
    """Which of these parameters the method takes. ipykernel inspects IPython's for each cell."""
    function = getattr(method, "__func__", None)
    if not isinstance(function, FunctionType):
        found: dict[str, bool] = _accepts_parameters(method, names)
        return found
    key = function, tuple(names)
    if key not in _known:
        _known[key] = _accepts_parameters(method, names)
    return _known[key]


if _accepts_parameters is not None:
    vars(ipkernel)["_accepts_parameters"] = _accepts_known_parameters
