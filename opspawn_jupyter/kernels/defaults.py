"""How fork servers are set up where nothing else is said: by the environment.

Without jupyter_client, so that a worker knows it before anything is imported.
"""

from __future__ import annotations

import os
from pathlib import Path

from opspawn_jupyter.kernels.forking.options import Options
from opspawn_jupyter.kernels.servers import OWNER_VARIABLE

#: What nbclient, and so papermill, starts kernels with. Other launches, such as JupyterLab's,
#: which keep a history on disk, are forked too, but brought up after the fork.
SPARE_ARGUMENTS = ("--HistoryManager.hist_file=:memory:",)


def preload() -> list[str]:
    """Modules that kernels find imported."""
    return [name.strip() for name in _setting("PRELOAD", "").split(",") if name.strip()]


def spares() -> int:
    """Kernels kept up and waiting."""
    return int(_setting("SPARES", "2"))


def transport() -> str:
    """How clients reach kernels that were waiting."""
    return _setting("TRANSPORT", "ipc")


def idle_seconds() -> float:
    """How long a fork server stays without kernels."""
    return float(_setting("IDLE_SECONDS", "900"))


def patience_seconds() -> float:
    """How long a launch waits for a fork server that is only starting."""
    return float(_setting("PATIENCE_SECONDS", "0"))


def owner() -> int:
    """The process with which fork servers end; 0 where none is named."""
    return int(os.environ.get(OWNER_VARIABLE) or 0)


def options(place: Path, mark: str = "") -> Options:
    """All of it."""
    return Options(
        directory=str(place),
        preload=tuple(preload()),
        spares=spares(),
        spare_arguments=SPARE_ARGUMENTS,
        transport=transport(),
        idle_seconds=idle_seconds(),
        owner=owner(),
        mark=mark,
    )


def _setting(name: str, otherwise: str) -> str:
    return os.environ.get(f"OPSPAWN_KERNELS_{name}") or otherwise
