"""A kernel that is reached over one line: no sockets, no threads for them, in it or here.

The messages are the usual ones, so that everything above works as with other kernels: cells,
outputs, comms of widgets, interrupts, death.
"""

from __future__ import annotations

import os
from pathlib import Path

from nbclient.exceptions import DeadKernelError

from opspawn_jupyter.kernels.launching import TIER_DIRECT, Launch
from opspawn_jupyter.runners.forked import ForkedKernel


class DirectKernel(ForkedKernel):
    """As its base class, over one line instead of sockets."""

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

    @property
    def tier(self) -> dict[str, str]:
        """``direct``, and no other."""
        return {"tier": TIER_DIRECT}

    @property
    def _is_elsewhere(self) -> bool:
        return False


def _refusal(reason: str) -> str:
    return f"The kernel cannot be run directly: {reason}. Run the task with --tier kernel."
