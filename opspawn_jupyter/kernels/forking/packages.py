"""Whether the installed packages, and IPython's configuration, are still those of the start."""

from __future__ import annotations

import os
import site
import sys
from collections.abc import Iterable

#: Directory or file -> time of its last change in nanoseconds, and its inode.
Snapshot = dict[str, tuple[int, int]]


def places() -> list[str]:
    """Every directory that pip installs into.

    Installing, upgrading and removing a package all add or remove an entry there. Directories of
    the user's own sources are left out: notebooks write files into them all the time.
    """
    known = (*site.getsitepackages(), site.getusersitepackages(), *sys.path)
    names = ("site-packages", "dist-packages")
    return list(dict.fromkeys(p for p in known if os.path.basename(p) in names))


def snapshot(paths: Iterable[str]) -> Snapshot:
    """The state of these directories and files."""
    found: Snapshot = {}
    for path in paths:
        try:
            status = os.stat(path)
        except OSError:
            continue
        found[path] = (status.st_mtime_ns, status.st_ino)
    return found
