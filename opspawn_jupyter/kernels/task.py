"""Kernels of tasks: they carry their task's mark, and end with everything that they started."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from traitlets import default

from opspawn_jupyter.kernels.client import SwiftKernelManager
from opspawn_jupyter.kernels.forking.options import Options
from opspawn_jupyter.kernels.provisioner import TIER_COLD, ForkProvisioner
from opspawn_jupyter.model.work import TASK_VARIABLE

#: A fork server takes one to two seconds to come up. A task waits for it rather than run
#: otherwise than its successors; not so long, though, as to notice that something is wrong.
PATIENCE_SECONDS = 30.0


class TaskProvisioner(ForkProvisioner):
    """Forks from a server that belongs to the worker."""

    def options(self, place: Path) -> Options:
        """As for others, with the mark."""
        return replace(super().options(place), mark=TASK_VARIABLE)

    @default("patience_seconds")
    def _default_patience_seconds(self) -> float:
        return PATIENCE_SECONDS


class TaskKernelManager(SwiftKernelManager):
    """Starts the kernel of a task."""

    provisioner_class = TaskProvisioner


def tier(provisioner: Any) -> Mapping[str, str]:
    """Which way a kernel was started, and if it was not forked, why."""
    if isinstance(provisioner, ForkProvisioner):
        known = {"tier": provisioner.tier or TIER_COLD, "tier_reason": provisioner.tier_reason}
    else:
        name = type(provisioner).__name__
        known = {"tier": TIER_COLD, "tier_reason": f"its kernelspec asks for the starter {name}"}
    return {key: value for key, value in known.items() if value}
