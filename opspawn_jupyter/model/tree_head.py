"""A tree head: the history's length and Merkle root at a time, in a line that others can keep."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, kw_only=True)
class TreeHead:
    """What the history was."""

    tree_size: int
    root_sha256: str
    at: datetime
