"""A kernel that is reached over one line: no sockets, no threads for them, in it or here.

The client is jupyter_client's and the messages are the usual ones, so that everything above works
as with other kernels: cells, outputs, comms of widgets, interrupts, death.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_client.channels import AsyncZMQSocketChannel, ZMQSocketChannel
from jupyter_client.session import Session
from nbclient.exceptions import DeadKernelError

from opspawn_jupyter.kernels.launching import TIER_DIRECT, Launch, launch
from opspawn_jupyter.kernels.wire_channels import Wire, WireChannel
from opspawn_jupyter.runners.forked import ForkedKernel
from opspawn_jupyter.runners.iopub import BoundedChannel
from opspawn_jupyter.runners.session import new_session


class DirectKernel(ForkedKernel):
    """As its base class, over one line instead of sockets."""

    _line: socket.socket | None = None
    _wire: Wire | None = None

    async def launch(self) -> None:
        """Fork it. Raises ``DeadKernelError`` where that is not possible: no other tier is meant,
        so none takes its place."""
        wanted = self._order()
        self._line, theirs = socket.socketpair()
        with theirs:
            made = await launch(wanted, theirs.fileno())
        if isinstance(made, str):
            raise DeadKernelError(_refusal(made))
        self._hold(made.leash)

    def _order(self) -> Launch:
        wanted = self._wanted(TIER_DIRECT, Path(os.devnull))
        if isinstance(wanted, str):
            raise DeadKernelError(_refusal(wanted))
        return wanted

    @property
    def tier(self) -> dict[str, str]:
        """``direct``, and no other."""
        return {"tier": TIER_DIRECT}

    def _open_client(self) -> AsyncKernelClient:
        assert self._line is not None  # noqa: S101  connected after it was launched
        self._wire, self._line = Wire(self._line), None
        client = AsyncKernelClient(session=new_session(b""))
        client._shell_channel = _ShellChannel(self._wire.shell, client.session)  # noqa: SLF001
        client._iopub_channel = _IOPubChannel(self._wire.iopub, client.session)  # noqa: SLF001
        client.allow_stdin = False
        return client

    def _ask_to_end(self, client: AsyncKernelClient) -> None:
        client.session.send(client.shell_channel.socket, "shutdown_request", {})

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
