"""The files of an earlier run, for the step that takes its result over."""

from __future__ import annotations

import os
from pathlib import Path

from opspawn_jupyter.errors import ArtifactNotFound
from opspawn_jupyter.files import is_unchanged
from opspawn_jupyter.model.run_directory import RunDirectory
from opspawn_jupyter.model.task import Task
from opspawn_jupyter.model.workflow import file_value
from opspawn_jupyter.settings import Settings


def is_whole(settings: Settings, earlier: Task) -> bool:
    """Whether every file among its outputs still is what it was when it was given."""
    base = settings.root_directory / earlier.run_directory
    files = [file for file in map(file_value, earlier.outputs.values()) if file is not None]
    try:
        return all(is_unchanged(base / one.path, one.size_bytes, one.sha256) for one in files)
    except OSError:
        return False


def prepare(settings: Settings, earlier: Task) -> dict[str, Path]:
    """Files to appear in the new run directory, by their path in it: the executed notebook and
    whatever the run left. Raises ``ArtifactNotFound`` where they are gone."""
    directory = RunDirectory(settings.root_directory / earlier.run_directory)
    if not directory.path.is_dir():
        raise ArtifactNotFound(earlier.run_directory, hint="its run directory is gone")
    single = (directory.output, directory.environment)
    found = {path.name: path for path in single if path.is_file()}
    for folder, _, names in os.walk(directory.path):
        base = Path(folder)
        if base in (directory.path, directory.path / "steps"):
            continue
        for path in (base / name for name in names):
            if path.is_file() and not path.is_symlink():
                found[path.relative_to(directory.path).as_posix()] = path
    return found
