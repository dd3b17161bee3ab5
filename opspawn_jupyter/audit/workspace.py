"""A copy of the notebook's project for each run, so that no run touches the original."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from opspawn_jupyter.model.audit import FileRecord

#: Never copied: histories, environments, caches, and what opspawn itself writes.
LEFT_OUT = frozenset(
    {".git", ".hg", ".svn", ".opspawn", "opspawn_runs", ".ipynb_checkpoints", "__pycache__",
     ".venv", "venv", "node_modules", ".tox", ".mypy_cache", ".pytest_cache", ".ruff_cache"}
)  # fmt: skip
#: Files that mark the top of a project.
MARKERS = (
    ".git", "opspawn-audit.toml", "pyproject.toml", "setup.py", "setup.cfg", "requirements.txt",
    "environment.yml", "environment.yaml", "Pipfile", "pylock.toml",
)  # fmt: skip
_BLOCK = 1 << 20


def project_of(notebook: Path, root: Path) -> Path:
    """The nearest directory above the notebook that is marked as a project's; its own where there
    is none."""
    for directory in notebook.parents:
        if not directory.is_relative_to(root):
            break
        if any((directory / marker).exists() for marker in MARKERS):
            return directory
    return notebook.parent


def copy(project: Path, target: Path, inputs: Sequence[str]) -> int:
    """Copy what the notebook may use, in place of what was there. When the last file of it was
    made, in nanoseconds of the file system's own clock. Raises ``OSError``."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    latest = 0
    for path in files_of(project, inputs):
        place = target / path.relative_to(project)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, place)
        latest = max(latest, place.stat().st_ctime_ns)
    return latest


def files_of(project: Path, inputs: Sequence[str] = ()) -> Iterator[Path]:
    """The regular files of the project, or of the inputs only, in order."""
    tops = [project / name for name in inputs] or [project]
    for top in tops:
        if top.is_file():
            yield top
        for folder, directories, names in os.walk(top):
            directories[:] = sorted(set(directories) - LEFT_OUT)
            for name in sorted(names):
                path = Path(folder, name)
                if path.is_file():  # follows links: a link's target is copied as a file
                    yield path


def changed(directory: Path, since: int) -> dict[str, FileRecord]:
    """What was made or written in a copy after ``copy`` was done with it, by path.

    No program can set a file's status time back, as it can its other times: so only what may have
    been changed has to be read.
    """
    return {
        path.relative_to(directory).as_posix(): record(path, directory)
        for path in files_of(directory)
        if path.stat().st_ctime_ns > since
    }


def record(path: Path, top: Path) -> FileRecord:
    """One file's digest."""
    return FileRecord(
        path=path.relative_to(top).as_posix(),
        sha256=sha256_of(path),
        size_bytes=path.stat().st_size,
    )


def sha256_of(path: Path) -> str:
    """The digest of a file's bytes, in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def stamps(directory: Path) -> dict[str, tuple[int, int]]:
    """Size and time of each file, to see later whether any was touched."""
    found = {}
    for path in files_of(directory):
        status = path.stat()
        found[path.relative_to(directory).as_posix()] = (status.st_size, status.st_mtime_ns)
    return found
