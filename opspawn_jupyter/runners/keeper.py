"""The kernel of a failed run, kept so that somebody can look into it.

The runner process stays with it. So the kernel keeps its parent, everything that the cells started
stays below one process, and all of it ends, as a run does, where the worker says so or dies.
"""

from __future__ import annotations

import asyncio
import uuid
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from opspawn_jupyter.model import wire
from opspawn_jupyter.model.clock import now
from opspawn_jupyter.model.notebook import NotebookSpec
from opspawn_jupyter.model.states import State
from opspawn_jupyter.model.task import KeptKernel
from opspawn_jupyter.model.work import Assignment
from opspawn_jupyter.runners.brake import Brake
from opspawn_jupyter.runners.kernel import Kernel

_LOOK_SECONDS = 0.25


class Keeper:
    """Stays with a kernel until it ends, its time is over, or the brake is pulled."""

    def __init__(self, kernel: Kernel, brake: Brake, seconds: float) -> None:
        self._kernel = kernel
        self._brake = brake
        self._seconds = seconds
        self._expires_at: datetime | None = None

    @property
    def is_wanted(self) -> bool:
        """The kernel is to be kept if the run fails."""
        return self._seconds > 0

    def facts(self) -> dict[str, Any]:
        """``data`` of ``kernel.kept``. Its time runs from now."""
        self._expires_at = now() + timedelta(seconds=self._seconds)
        kept = KeptKernel(
            id=str(uuid.uuid4()),
            connection_file=str(self._kernel.connection_file),
            expires_at=self._expires_at,
        )
        return {**wire.encode(kept), "kernel_name": self._kernel.name, "pid": self._kernel.pid}

    def keep(self) -> None:
        """Return once it has ended, with all that it had started."""
        asyncio.run(self._keep())

    async def _keep(self) -> None:
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._seconds):
                    await self._ended()
        finally:
            await self._kernel.close()

    async def _ended(self) -> None:
        while not self._brake.pulled:
            if await self._kernel.exit_code() is not None:
                return
            await asyncio.sleep(_LOOK_SECONDS)


def keeping_seconds(assignment: Assignment, spec: NotebookSpec) -> float:
    """How long this attempt's kernel is to be kept; 0 where nobody asked for it, and where
    another attempt follows a failure."""
    policy, keeping = assignment.policy, assignment.keeping
    goes_on = assignment.attempt <= policy.max_retries and State.FAILED in policy.retry_on
    if not spec.keep_on_failure or goes_on or not keeping.kernels:
        return 0.0
    return keeping.seconds
