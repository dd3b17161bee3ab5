"""Whether the installed packages, and IPython's configuration, are still those of the start."""

from __future__ import annotations

import os
import site
import sys
from collections.abc import Iterable

#: Directory or file -> time of its last change in nanoseconds, and its inode.
Snapshot = dict[str, tuple[int, int]]


def snapshot(files: Iterable[str] = ()) -> Snapshot:
    """The state of every directory that pip installs into, and of these files.

    Installing, upgrading and removing a package all add or remove an entry there. Directories of
    the user's own sources are left out: notebooks write files into them all the time.
    """
    places = (*site.getsitepackages(), site.getusersitepackages(), *sys.path)
    packages = (p for p in places if os.path.basename(p) in ("site-packages", "dist-packages"))
    found: Snapshot = {}
    for path in (*packages, *files):
        try:
            status = os.stat(path)
        except OSError:
            continue
        found[path] = (status.st_mtime_ns, status.st_ino)
    return found
