"""Whether a kernel can be forked at all, as far as its kernelspec tells."""

from __future__ import annotations

from collections.abc import Sequence

from opspawn_jupyter.kernels import command, servers


def forking_obstacle(argv: Sequence[str]) -> str | None:
    """Why a kernel with this command is not forked; None where nothing speaks against it."""
    if not servers.is_possible():
        return "this system cannot fork kernels, Linux 5.3 or later can"
    if command.parse(argv) is None:
        return "it is not an ordinary ipykernel"
    return None
