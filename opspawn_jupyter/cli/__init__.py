"""``opspawn …`` in a shell."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from opspawn_jupyter.version import __version__


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out the command line and give the exit code. Never raises."""
    words = sys.argv[1:] if arguments is None else arguments
    if list(words) == ["--version"]:
        # To know all commands takes ten times as long as Python's own start.
        sys.stdout.write(f"opspawn {__version__}\n")
        return 0
    from opspawn_jupyter.cli.entry import main as carry_out

    return carry_out(words)


__all__ = ["main"]
