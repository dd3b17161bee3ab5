"""Run directories on their way out. Everything here blocks: call it in a thread.

A directory is first renamed, then the removal is recorded, then it is deleted: whoever dies in
between leaves something that the next round can finish or take back. What lies in it was written
by user code, so no link is followed, and nothing outside the runs directory is touched.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

_PREFIX = ".pruned-"
_MOST_DIGESTS = 1_000
_LARGEST_DIGESTED_BYTES = 64 * 1024 * 1024


class NotOurs(Exception):
    """This is no run directory that may be removed."""


def size_bytes(directory: Path) -> int:
    """What the directory holds; 0 where it is gone."""
    return sum(entry.stat(follow_symlinks=False).st_size for entry in _files(directory))


def digests(directory: Path) -> Mapping[str, str]:
    """SHA-256 of the files by their path in the directory, so that a copy kept elsewhere can be
    recognised. Very large files, and those beyond a great number, are left out."""
    found: dict[str, str] = {}
    for entry in _files(directory):
        if len(found) >= _MOST_DIGESTS:
            break
        if entry.stat(follow_symlinks=False).st_size <= _LARGEST_DIGESTED_BYTES:
            relative = Path(entry.path).relative_to(directory).as_posix()
            found[relative] = hashlib.sha256(Path(entry.path).read_bytes()).hexdigest()
    return dict(sorted(found.items()))


def require_ours(directory: Path, runs_directory: Path) -> None:
    """Raise ``NotOurs`` for anything but a directory that lies right in the runs directory."""
    if directory.parent.resolve() != runs_directory.resolve():
        raise NotOurs(f"{directory} does not lie in the runs directory")
    if directory.is_symlink() or (directory.exists() and not directory.is_dir()):
        raise NotOurs(f"{directory} is a link or a file")


def set_aside(directory: Path) -> Path | None:
    """Take the directory out of sight; None where it is gone already."""
    aside = directory.with_name(f"{_PREFIX}{directory.name}")
    try:
        directory.rename(aside)
    except FileNotFoundError:
        return None
    return aside


def put_back(aside: Path) -> None:
    """Undo ``set_aside``."""
    aside.rename(original(aside))


def destroy(aside: Path) -> None:
    """Delete what was set aside. Raises ``OSError``."""
    shutil.rmtree(aside)


def original(aside: Path) -> Path:
    """Where it was before it was set aside."""
    return aside.with_name(aside.name.removeprefix(_PREFIX))


def left_aside(runs_directory: Path) -> list[Path]:
    """What earlier rounds set aside and did not delete."""
    return sorted(runs_directory.glob(f"{_PREFIX}*"))


def _files(directory: Path) -> Iterator[os.DirEntry[str]]:
    """Regular files below the directory, links left out."""
    folders = [str(directory)]
    while folders:
        try:
            with os.scandir(folders.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
                    elif entry.is_file(follow_symlinks=False):
                        yield entry
        except OSError:
            continue  # deleted meanwhile, or closed to us
