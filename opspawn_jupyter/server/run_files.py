"""The files of a run, for those who ask over HTTP. Everything here blocks: call it in a thread.

What lies in a run directory was written by user code, so no link out of it is followed.
"""

from __future__ import annotations

import codecs
import os
from pathlib import Path

from opspawn_jupyter.errors import ArtifactNotFound
from opspawn_jupyter.model.run_directory import RunDirectory
from opspawn_jupyter.model.task import Task
from opspawn_jupyter.server.schemas import Artifact, LogQuery, LogSlice

#: Where the last lines of a log are looked for.
_TAIL_BYTES = 1 << 20
_MOST_ARTIFACTS = 10_000


def run_directory(root: Path, task: Task) -> RunDirectory:
    """The task's run directory. Raises ``ArtifactNotFound`` where it is gone."""
    try:
        return RunDirectory((root / task.run_directory).resolve(strict=True))
    except OSError as failure:
        raise ArtifactNotFound(task.run_directory, hint="the run directory is gone") from failure


def regular_file(directory: Path, relative: str) -> Path:
    """The file of this name in the directory. Raises ``ArtifactNotFound`` for anything else:
    missing, outside, reached through a link that leads outside, not a regular file."""
    try:
        path = (directory / relative).resolve(strict=True)
        if path.is_relative_to(directory.resolve()) and path.is_file():
            return path
    except (OSError, ValueError) as failure:
        raise ArtifactNotFound(relative) from failure
    raise ArtifactNotFound(relative)


def artifacts(directory: RunDirectory) -> tuple[Artifact, ...]:
    """What the task left, by path; links are left out."""
    found = []
    for folder, _, names in os.walk(directory.artifacts):
        for path in (Path(folder, name) for name in names):
            if path.is_file() and not path.is_symlink():
                relative = path.relative_to(directory.artifacts).as_posix()
                found.append(Artifact(path=relative, size_bytes=path.stat().st_size))
        if len(found) >= _MOST_ARTIFACTS:
            break
    return tuple(sorted(found, key=lambda artifact: artifact.path))


def log_slice(directory: RunDirectory, query: LogQuery, *, has_ended: bool) -> LogSlice:
    """The part of the run's log that was asked for; empty while there is no log."""
    try:
        path = regular_file(directory.path, directory.log.name)
    except ArtifactNotFound:
        return LogSlice(text="", next_offset=0, finished=has_ended)
    size_bytes = path.stat().st_size
    if query.tail is not None:
        text = _read(path, max(0, size_bytes - _TAIL_BYTES), size_bytes)[0]
        lines = text.splitlines(keepends=True)[-query.tail :] if query.tail else []
        return LogSlice(text="".join(lines), next_offset=size_bytes, finished=has_ended)
    text, next_offset = _read(path, query.offset, min(size_bytes, query.offset + query.limit))
    return LogSlice(
        text=text, next_offset=next_offset, finished=has_ended and next_offset >= size_bytes
    )


def _read(path: Path, start: int, end: int) -> tuple[str, int]:
    """Text between two offsets, and where it really ends: no character is cut in two."""
    with path.open("rb") as file:
        file.seek(start)
        data = file.read(max(0, end - start))
        is_whole = not file.read(1)
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    text = decoder.decode(data, final=is_whole)
    return text, start + len(data) - len(decoder.getstate()[0])
