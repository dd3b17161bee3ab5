"""How fork servers are set up: traits of the provisioner, with defaults from the environment.

Stock clients read no configuration of ours, so each trait has its environment variable.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from jupyter_client.multikernelmanager import MultiKernelManager
from jupyter_client.provisioning.local_provisioner import LocalProvisioner
from traitlets import Enum, Float, Integer, List, Unicode, default

from opspawn_jupyter.kernels import defaults
from opspawn_jupyter.kernels.defaults import SPARE_ARGUMENTS
from opspawn_jupyter.kernels.forking.options import Options


class ConfiguredProvisioner(LocalProvisioner):
    """What can be configured about fork servers."""

    #: The kernel's manager; traitlets types it as anything configurable.
    parent: Any

    preload: List[str] = List(
        Unicode(),
        config=True,
        help="Modules that kernels find imported, such as numpy or pandas. They must not start "
        "threads. Environment: OPSPAWN_KERNELS_PRELOAD, separated by commas.",
    )
    spares: Integer[int, int] = Integer(
        config=True,
        min=0,
        help="Kernels kept up and waiting, per interpreter. Environment: OPSPAWN_KERNELS_SPARES.",
    )
    transport: Enum[str] = Enum(
        ["ipc", "tcp"],
        config=True,
        help="How to reach kernels whose manager asks for no particular port. "
        "Environment: OPSPAWN_KERNELS_TRANSPORT.",
    )
    idle_seconds: Float[float, float] = Float(
        config=True,
        help="A fork server without kernels ends after so long. "
        "Environment: OPSPAWN_KERNELS_IDLE_SECONDS.",
    )
    patience_seconds: Float[float, float] = Float(
        config=True,
        help="How long a launch waits for a fork server that is only starting; an ordinary start "
        "serves it otherwise. Environment: OPSPAWN_KERNELS_PATIENCE_SECONDS.",
    )

    @default("preload")
    def _default_preload(self) -> list[str]:
        return defaults.preload()

    @default("spares")
    def _default_spares(self) -> int:
        return defaults.spares()

    @default("transport")
    def _default_transport(self) -> str:
        return defaults.transport()

    @default("idle_seconds")
    def _default_idle_seconds(self) -> float:
        return defaults.idle_seconds()

    @default("patience_seconds")
    def _default_patience_seconds(self) -> float:
        return defaults.patience_seconds()

    def options(self, place: Path) -> Options:
        """How the fork servers in this directory are set up."""
        return Options(
            directory=str(place),
            preload=tuple(self.preload),
            spares=self.spares,
            spare_arguments=SPARE_ARGUMENTS,
            transport=self.transport,
            idle_seconds=self.idle_seconds,
            owner=self._owner(),
        )

    def _owner(self) -> int:
        """The process with which the fork server ends.

        A manager of many kernels, such as a Jupyter server, lives long and takes its fork server
        along. One that runs a single notebook leaves it to the next one.
        """
        if named := defaults.owner():
            return named
        return os.getpid() if isinstance(self.parent.parent, MultiKernelManager) else 0
