"""The kernel of the tier ``direct``: forked like others, but without sockets, for one run only.

It can be reached by nobody else, so it cannot be kept; it is up sooner, and costs less.
"""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path
from string import Template
from typing import Any

from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_client.channels import AsyncZMQSocketChannel, ZMQSocketChannel
from jupyter_client.session import Session
from nbclient.exceptions import DeadKernelError

from opspawn_jupyter.kernels import defaults, servers
from opspawn_jupyter.kernels.command import parse
from opspawn_jupyter.kernels.direct import TIER_DIRECT, DirectLaunch, Wire, WireChannel, launch
from opspawn_jupyter.kernels.leash import Leash
from opspawn_jupyter.kernels.task import PATIENCE_SECONDS
from opspawn_jupyter.model.work import TASK_VARIABLE
from opspawn_jupyter.runners import processes
from opspawn_jupyter.runners.iopub import BoundedChannel
from opspawn_jupyter.runners.kernel import POLITE_SECONDS, Kernel


class DirectKernel(Kernel):
    """As its base class, over one line instead of sockets."""

    _leash: Leash | None = None
    _line: socket.socket | None = None
    _wire: Wire | None = None

    async def launch(self) -> None:
        """Fork it. Raises ``DeadKernelError`` where that is not possible: no other tier is meant,
        so none takes its place."""
        made = await launch(self._wanted())
        if isinstance(made, str):
            raise DeadKernelError(_refusal(made))
        self._leash, self._line = made
        self.pid = self._leash.pid

    def _wanted(self) -> DirectLaunch:
        directory = servers.directory() if servers.is_possible() else None
        manager = self.manager
        manager.connection_file = os.devnull
        command = parse(manager.format_kernel_cmd(list(defaults.SPARE_ARGUMENTS)))
        if directory is None:
            raise DeadKernelError(_refusal("this system has no fork servers"))
        if command is None:
            raise DeadKernelError(_refusal(f"{self.name} is not an ordinary ipykernel"))
        own = {name: Template(v).safe_substitute(self._env) for name, v in self.spec.env.items()}
        return DirectLaunch(
            command=command,
            environment={**self._env, **own},
            directory=self._cwd or str(Path.cwd()),
            options=defaults.options(directory, mark=TASK_VARIABLE),
            patience_seconds=PATIENCE_SECONDS,
        )

    @property
    def tier(self) -> dict[str, str]:
        """``direct``, and no other."""
        return {"tier": TIER_DIRECT}

    def _open_client(self) -> AsyncKernelClient:
        assert self._line is not None  # noqa: S101  connected after it was launched
        self._wire, self._line = Wire(self._line), None
        client = AsyncKernelClient(session=Session(key=b""))
        client._shell_channel = _ShellChannel(self._wire.shell, client.session)  # noqa: SLF001
        client._iopub_channel = _IOPubChannel(self._wire.iopub, client.session)  # noqa: SLF001
        client.allow_stdin = False
        return client

    async def exit_code(self) -> int | None:
        """As the fork server tells it."""
        if self._exit_code is None and self._leash is not None:
            self._exit_code = self._leash.poll()
        return self._exit_code

    async def interrupt(self) -> None:
        """Interrupt the code that runs."""
        if self._leash is not None:
            self._leash.signal(signal.SIGINT)

    async def stop(self, *, politely: bool = True) -> None:
        """End it; the fork server ends what it had started."""
        if self._leash is None:
            return
        if politely and self.is_ready and self.client is not None:
            self.client.session.send(self.client.shell_channel.socket, "shutdown_request", {})
            await self._leash.wait(POLITE_SECONDS)
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self._leash.poll() is None:
                self._leash.signal(number)
                await self._leash.wait(self._grace.terminate_seconds)
        if self._leash.is_lost:
            processes.kill(processes.marked(TASK_VARIABLE, self._env[TASK_VARIABLE]))
        self.is_ready = False

    def hang_up(self) -> None:
        """Close the line."""
        if self._wire is not None:
            self._wire.close()
            self._wire = None
        if self._line is not None:
            self._line.close()
            self._line = None
        self.client = None
        self.manager.context.destroy(linger=0)
        self.is_ready = False


class _ShellChannel(AsyncZMQSocketChannel):
    def __init__(self, channel: WireChannel, session: Session) -> None:
        # Past the base class, which takes nothing but a zmq socket.
        ZMQSocketChannel.__init__(self, channel, session)  # type: ignore[arg-type]  # stands for it

    async def _recv(  # type: ignore[override]  # as in the base class
        self, **_options: Any
    ) -> dict[str, Any]:
        frames = await self.socket.recv_multipart(copy=False)
        parts = self.session.feed_identities(frames, copy=False)[1]
        message: dict[str, Any] = self.session.deserialize(parts, copy=False)
        return message


class _IOPubChannel(BoundedChannel):
    def __init__(self, channel: WireChannel, session: Session) -> None:
        ZMQSocketChannel.__init__(self, channel, session)  # type: ignore[arg-type]  # as above


def _refusal(reason: str) -> str:
    return f"The kernel cannot be run directly: {reason}. Run the task with --tier kernel."
