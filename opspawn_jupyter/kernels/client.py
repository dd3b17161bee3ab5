"""A kernel manager and client that wait for what happens instead of for fixed times.

The stock client waits until the kernel has been silent for 200 ms, and the stock manager sleeps
10 ms at each start and end. Both are made to be passed to nbclient and papermill as
``kernel_manager_class``.
"""

from __future__ import annotations

import asyncio
import inspect
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from queue import Empty
from typing import Any

from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_client.manager import AsyncKernelManager, KernelManager
from traitlets import DottedObjectName, Type

from opspawn_jupyter.kernels.provisioner import ForkProvisioner

_DOTTED_NAME = "opspawn_jupyter.kernels.client.SwiftKernelClient"

#: The stock manager's, without the decorator that sleeps.
_shutdown_kernel = inspect.unwrap(
    KernelManager._async_shutdown_kernel  # noqa: SLF001  it has no public name
)

#: How often a silent kernel is asked again, and looked at whether it lives.
_ASK_SECONDS = 1.0
#: A kernel that speaks on iopub at all does so soon after its answer.
_SILENCE_SECONDS = 0.2


class SwiftKernelClient(AsyncKernelClient):
    """Is ready as soon as the kernel answers and its output is known to arrive."""

    async def wait_for_ready(self, timeout: float | None = None) -> None:
        """Wait until the kernel answers; its output is then complete from here on.

        A subscription takes effect at a time that the subscriber does not learn, but the first
        message proves it: ``iopub_welcome``, where the kernel sends it (JEP 65), or any other.
        What was asked after that has its ``idle`` for certain, and nothing is left to arrive.
        Raises ``RuntimeError``, as the stock client does, for a kernel that dies or is silent.
        """
        deadline = time.monotonic() + (float("inf") if timeout is None else timeout)
        is_heard = await self._hears(_SILENCE_SECONDS)
        while True:
            asked = await self._ask(deadline)
            if is_heard:
                await self._drain(asked)
                return
            is_heard = await self._hears(_SILENCE_SECONDS)

    async def _ask(self, deadline: float) -> str:
        """Ask for the kernel's info until it answers; the question's id."""
        asked: set[str] = set()
        while True:
            asked.add(self.kernel_info())
            try:
                reply = await self.shell_channel.get_msg(timeout=_ASK_SECONDS)
            except Empty:
                reply = {"msg_type": "", "parent_header": {}}
            if reply["msg_type"] == "kernel_info_reply":
                self._handle_kernel_info_reply(reply)
                return str(reply["parent_header"].get("msg_id"))
            if not await self.is_alive():
                msg = "Kernel died before replying to kernel_info"
                raise RuntimeError(msg)
            if time.monotonic() > deadline:
                msg = "Kernel didn't respond in time"
                raise RuntimeError(msg)

    async def _hears(self, timeout_seconds: float) -> bool:
        """Whether a message comes on iopub."""
        try:
            await self.iopub_channel.get_msg(timeout=timeout_seconds)
        except Empty:
            return False
        return True

    async def _drain(self, asked: str) -> None:
        """Read iopub up to the ``idle`` that belongs to the question."""
        while True:
            try:
                message = await self.iopub_channel.get_msg(timeout=_SILENCE_SECONDS)
            except Empty:  # a kernel that does not keep to the protocol here
                return
            is_idle = message["content"].get("execution_state") == "idle"
            if is_idle and message["parent_header"].get("msg_id") == asked:
                return


class SwiftKernelManager(AsyncKernelManager):
    """Starts and ends kernels without sleeping, forked where that is possible."""

    provisioner_class: type[ForkProvisioner] = ForkProvisioner
    client_class = DottedObjectName(_DOTTED_NAME, config=True)
    client_factory = Type(klass="jupyter_client.client.KernelClient", default_value=_DOTTED_NAME)

    async def _async_start_kernel(self, **kw: Any) -> None:
        """Start a kernel."""
        self._attempted_start = True
        self._use_fork()
        with self._pending():
            command, kw = await self._async_pre_start_kernel(**kw)
            await self._async_launch_kernel(command, **kw)
            await self._async_post_start_kernel(**kw)

    async def _async_shutdown_kernel(self, now: bool = False, restart: bool = False) -> None:
        """End the kernel."""
        with self._pending():
            await _shutdown_kernel(self, now, restart)

    start_kernel = _async_start_kernel
    shutdown_kernel = _async_shutdown_kernel

    def _use_fork(self) -> None:
        """Take our provisioner, unless the kernelspec names one."""
        spec = self.kernel_spec
        if self.provisioner is None and spec and "kernel_provisioner" not in spec.metadata:
            self.kernel_id = self.kernel_id or str(uuid.uuid4())
            self.provisioner = self.provisioner_class(
                kernel_id=self.kernel_id, kernel_spec=spec, parent=self
            )

    @contextmanager
    def _pending(self) -> Iterator[None]:
        """``ready`` tells when this is over, as with the stock manager."""
        ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._ready = ready
        try:
            yield
        except Exception as error:
            ready.set_exception(error)
            ready.exception()  # it is raised here; who awaits ``ready`` gets it too
            raise
        ready.set_result(None)
