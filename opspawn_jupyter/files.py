"""Files: written so that a reader never sees half of one, and read so that reading ends."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import stat
from pathlib import Path
from typing import Any


def write_atomic(path: Path | str, data: bytes, mode: int = 0o644) -> None:
    """Put the bytes at the path, all or nothing: a temporary file beside it, then a rename.

    Raises ``OSError`` where the directory cannot be written or the disk is full; the file that
    was there before is then untouched.
    """
    directory, name = os.path.split(path)
    temporary = os.path.join(directory, f".{name}.{os.getpid()}.tmp")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        try:
            write_all(descriptor, data)
        finally:
            os.close(descriptor)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of it, however little the system takes at once. Raises ``OSError``."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def write_new(path: str, data: bytes) -> None:
    """Put the bytes at the path, where nothing is and nobody looks yet. Raises ``OSError``.

    As ``Path.write_bytes`` does, which asks the system for twice as much.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        write_all(descriptor, data)
    finally:
        os.close(descriptor)


def write_json(path: Path | str, value: Any, mode: int = 0o644) -> None:
    """Put the value at the path as JSON for people and programs, all or nothing."""
    write_atomic(path, json_bytes(value), mode)


def json_bytes(value: Any) -> bytes:
    """The value as a JSON file for people and programs."""
    return json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False).encode() + b"\n"


def link_or_copy(source: Path, target: Path) -> None:
    """Have the file at another place, too, without its bytes where the file system allows that.

    For files that nobody writes any more. Raises ``OSError``.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def regular_size(path: Path) -> int:
    """How many bytes the file has. Raises ``OSError``, also for what is no regular file: a device
    or a pipe may have no end."""
    found = path.stat()
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    return found.st_size


def sha256_of(path: Path) -> str:
    """Digest of what the regular file holds, read piece by piece. Raises ``OSError``."""
    regular_size(path)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_unchanged(path: Path, size_bytes: int, sha256: str) -> bool:
    """Whether the file still holds what it held when these were noted. Raises ``OSError``."""
    return regular_size(path) == size_bytes and sha256 in ("", sha256_of(path))
