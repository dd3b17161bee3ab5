"""``opspawn …`` in a shell."""

from __future__ import annotations

from opspawn_jupyter.cli.entry import main

__all__ = ["main"]
