"""Which kernel this process is."""

from __future__ import annotations

import json
from pathlib import Path


def own_kernel_name() -> str | None:
    """The name that the server started this kernel by; None outside a kernel.

    Jupyter writes it into the kernel's connection file.
    """
    from ipykernel.connect import get_connection_file

    try:
        said = json.loads(Path(get_connection_file()).read_bytes())
    except (RuntimeError, OSError, ValueError):
        return None
    return said.get("kernel_name") or None
