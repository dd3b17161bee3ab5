"""A kernel that is reached over one line: no sockets, no threads for them, in it or here.

The messages are the usual ones, so that everything above works as with other kernels: cells,
outputs, comms of widgets, interrupts, death.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path

from nbclient.exceptions import DeadKernelError

from opspawn_jupyter.kernels.launching import TIER_DIRECT, Launch
from opspawn_jupyter.kernels.wire_channels import Wire
from opspawn_jupyter.runners.conversation import Conversation
from opspawn_jupyter.runners.forked import ForkedKernel
from opspawn_jupyter.runners.messages import Messages


class DirectKernel(ForkedKernel):
    """As its base class, over one line instead of sockets."""

    _line: socket.socket | None = None
    _theirs: socket.socket | None = None

    async def launch(self) -> None:
        """Fork it. Raises ``DeadKernelError`` where that is not possible: no other tier is meant,
        so none takes its place."""
        wanted = self._plan()
        made = wanted if isinstance(wanted, str) else await self._launched(wanted)
        if isinstance(made, str):
            raise DeadKernelError(_refusal(made))
        self._hold(made)
        self._close_theirs()

    def _plan(self) -> Launch | str:
        if self._planned is None:
            self._planned = self._wanted(TIER_DIRECT, Path(os.devnull))
        return self._planned

    def _lines(self) -> tuple[int, ...]:
        if self._theirs is None:
            self._line, self._theirs = socket.socketpair()
        return (self._theirs.fileno(),)

    def _close_theirs(self) -> None:
        """Its end of the line, once it has that: the line ends when it does."""
        if self._theirs is not None:
            self._theirs.close()
            self._theirs = None

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
        if self.conversation is None:
            self._converse()

    @property
    def listens_early(self) -> bool:
        """See the base class: the line is there before the kernel."""
        return self._line is not None

    def dismiss_ahead(self) -> None:
        """See the base class."""
        if self.conversation is not None and not self._is_dismissed:
            self._is_dismissed = True
            self.conversation.dismiss(is_ahead=True)

    def stay(self) -> None:
        """See the base class."""
        self._is_dismissed = False

    def retract(self) -> None:
        """See the base class. It ends then."""
        if self.conversation is not None:
            self._is_dismissed = True
            self.conversation.retract()

    def hang_up(self) -> None:
        """Close the line."""
        super().hang_up()
        if self._line is not None:
            self._line.close()
            self._line = None
        self._close_theirs()


def _refusal(reason: str) -> str:
    return f"The kernel cannot be run directly: {reason}. Run the task with --tier kernel."
