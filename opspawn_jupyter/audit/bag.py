"""BagIt (RFC 8493): files with their digests, as a zip file whose bytes depend on nothing else."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

DECLARATION = b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"
MANIFEST = "manifest-sha256.txt"
TAG_MANIFEST = "tagmanifest-sha256.txt"
PAYLOAD = "data/"
_EARLIEST = (1980, 1, 1, 0, 0, 0)

#: Content by path.
Files = Mapping[str, bytes]


def manifest(files: Files) -> bytes:
    """A line for each file, in order, as ``sha256sum -c`` reads it."""
    lines = (f"{hashlib.sha256(files[path]).hexdigest()}  {path}\n" for path in sorted(files))
    return "".join(lines).encode()


def packed(files: Files) -> bytes:
    """A zip file; the same files give the same bytes, so any change of it can be found."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(files):
            entry = zipfile.ZipInfo(path, _EARLIEST)
            entry.create_system = 3  # Unix, wherever it is written
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, files[path])
    return target.getvalue()


def unpacked(path: Path) -> dict[str, bytes]:
    """The files of a bag, zipped or not. Raises ``OSError`` or ``ValueError``."""
    if path.is_dir():
        return {
            one.relative_to(path).as_posix(): one.read_bytes()
            for one in sorted(path.rglob("*"))
            if one.is_file()
        }
    try:
        with zipfile.ZipFile(path) as archive:
            return {entry.filename: archive.read(entry) for entry in archive.infolist()}
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as failure:
        raise ValueError(str(failure)) from failure
