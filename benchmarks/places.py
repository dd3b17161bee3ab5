"""Directories that stay until the whole run is over.

A file system that has just removed thousands of files takes up to ten times as long for each new
one, which the next row, ours or a peer's, would be measured with.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path


def directory() -> Path:
    """A new and empty one."""
    return Path(tempfile.mkdtemp(dir=_all()))


@cache
def _all() -> Path:
    found = Path(tempfile.mkdtemp(prefix="opspawn-bench-"))
    atexit.register(shutil.rmtree, found, ignore_errors=True)
    return found
