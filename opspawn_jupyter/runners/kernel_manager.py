"""Who starts a kernel in jupyter_client's way, and how it can be reached then."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import zmq
import zmq.asyncio
from jupyter_client.manager import AsyncKernelManager

from opspawn_jupyter.kernels.client import SwiftKernelManager
from opspawn_jupyter.kernels.provisioner import PROVISIONER_NAME
from opspawn_jupyter.kernels.task import TaskKernelManager

#: Longest path of a socket, less the name of the socket itself (sun_path: 104 on macOS).
_LONGEST_DIRECTORY = 80


class _StartedManager(AsyncKernelManager):
    """Starts the kernel afresh, by its command with words before it."""

    #: Words before the kernelspec's own; the process must become the kernel.
    prefix: tuple[str, ...] = ()

    def format_kernel_cmd(self, extra_arguments: list[str] | None = None) -> list[str]:
        """See ``KernelManager``."""
        return [*self.prefix, *super().format_kernel_cmd(extra_arguments)]


def manager(name: str, *, is_alone: bool, prefix: Sequence[str] | None) -> AsyncKernelManager:
    """The manager of one kernel, as ``Kernel`` has it; nothing is started yet."""
    if prefix is not None:
        started = _StartedManager(kernel_name=name, context=_context())
        started.prefix = tuple(prefix)
        return started
    return _manager_class(is_alone=is_alone)(kernel_name=name, context=_context())


def _manager_class(*, is_alone: bool) -> type[AsyncKernelManager]:
    """Who starts it. Outside of tasks kernels are forked where Jupyter is set up to do so."""
    if is_alone:
        return TaskKernelManager
    is_wanted = os.environ.get("JUPYTER_DEFAULT_PROVISIONER_NAME") == PROVISIONER_NAME
    return SwiftKernelManager if is_wanted else AsyncKernelManager


def transport(argv: list[str], directory: Path) -> str:
    """``ipc`` where it surely works: two kernels cannot race for a port there.

    Kernels written in Python stand on ipykernel, which binds ``ip-port`` files as jupyter_client
    expects; several others have ``tcp`` or the colon before the port built in.
    """
    in_python = Path(argv[0]).name.startswith("python")
    fits = len(str(directory)) <= _LONGEST_DIRECTORY
    return "ipc" if os.name == "posix" and in_python and fits else "tcp"


def _context() -> zmq.asyncio.Context:
    """No limit on messages that wait to be read: at the limit zmq drops output in silence."""
    context = zmq.asyncio.Context()
    context.setsockopt(zmq.RCVHWM, 0)
    return context
