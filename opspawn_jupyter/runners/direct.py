"""A kernel that is reached over one line: no sockets, no threads for them, in it or here.

The messages are the usual ones, so that everything above works as with other kernels: cells,
outputs, comms of widgets, interrupts, death.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path

from nbclient.exceptions import DeadKernelError

from opspawn_jupyter.kernels.launching import TIER_DIRECT, Launch, launch
from opspawn_jupyter.kernels.wire_channels import Wire
from opspawn_jupyter.runners.conversation import Conversation
from opspawn_jupyter.runners.forked import ForkedKernel
from opspawn_jupyter.runners.messages import Messages


class DirectKernel(ForkedKernel):
    """As its base class, over one line instead of sockets."""

    _line: socket.socket | None = None

    async def launch(self) -> None:
        """Fork it. Raises ``DeadKernelError`` where that is not possible: no other tier is meant,
        so none takes its place."""
        wanted = self._order()
        self._line, theirs = socket.socketpair()
        with theirs:
            made = await launch(wanted, theirs.fileno())
        if isinstance(made, str):
            raise DeadKernelError(_refusal(made))
        self._hold(made)

    def _order(self) -> Launch:
        wanted = self._wanted(TIER_DIRECT, Path(os.devnull))
        if isinstance(wanted, str):
            raise DeadKernelError(_refusal(wanted))
        return wanted

    @property
    def tier(self) -> dict[str, str]:
        """``direct``, and no other."""
        return {"tier": TIER_DIRECT}

    @property
    def _is_elsewhere(self) -> bool:
        return False

    def _new_conversation(self) -> Conversation:
        assert self._line is not None  # noqa: S101  connected after it was launched
        line, self._line = Wire(self._line), None
        return Conversation(line, Messages(b""))

    async def connect(self) -> None:
        """Nothing is to be waited for: nothing that comes on the line is lost."""
        self._converse()

    def hang_up(self) -> None:
        """Close the line."""
        super().hang_up()
        if self._line is not None:
            self._line.close()
            self._line = None


def _refusal(reason: str) -> str:
    return f"The kernel cannot be run directly: {reason}. Run the task with --tier kernel."
