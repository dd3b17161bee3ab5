"""Paths as the server is told them."""

from __future__ import annotations

from os import PathLike, fspath
from pathlib import Path


def sent_path(path: str | PathLike[str]) -> str:
    """Absolute for what exists here; as given for the rest, which starts from the server's root."""
    local = Path(path).expanduser()
    return str(local.absolute()) if local.exists() else fspath(path)
