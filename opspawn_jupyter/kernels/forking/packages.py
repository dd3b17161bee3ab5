"""Whether the installed packages are still those that were imported."""

from __future__ import annotations

import os
import site
import sys

#: Directory -> time of its last change in nanoseconds, and its inode.
Snapshot = dict[str, tuple[int, int]]


def snapshot() -> Snapshot:
    """The state of every directory that pip installs into.

    Installing, upgrading and removing a package all add or remove an entry there. Directories of
    the user's own sources are left out: notebooks write files into them all the time.
    """
    found: Snapshot = {}
    for directory in (*site.getsitepackages(), site.getusersitepackages(), *sys.path):
        if os.path.basename(directory) in ("site-packages", "dist-packages"):
            try:
                status = os.stat(directory)
            except FileNotFoundError:
                continue
            found[directory] = (status.st_mtime_ns, status.st_ino)
    return found
