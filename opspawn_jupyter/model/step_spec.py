"""What the task of a step is asked for, from the step's config."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from typing import Any

#: Fields of a kind's spec that are paths, and start in the workflow's directory.
_PATHS: Mapping[str, tuple[str, ...]] = {
    "notebook": ("notebook", "working_directory"),
    "workflow": ("path", "directory"),
    "agent": ("agent", "working_directory"),
}


def step_spec(name: str, kind: object, config: Mapping[str, Any], directory: str) -> dict[str, Any]:
    """The config as the kind's spec: paths of notebooks and workflows start in the directory of
    the workflow's own file, where plugins run, too. ``name``: the kind's."""
    names = _PATHS.get(name, ())
    runs_there = getattr(kind, "runs_in_directory", False) or _has_no_file(name, config)
    own = {"working_directory": directory} if runs_there else {}
    return {
        **own,
        **_from_directory(config, names, directory),
    }


def _has_no_file(name: str, config: Mapping[str, Any]) -> bool:
    """Whether it is something that runs in its file's directory, and has no file."""
    return (name == "notebook" and "notebook" not in config) or (
        name == "agent" and "agent" not in config
    )


def _from_directory(
    config: Mapping[str, Any], names: tuple[str, ...], directory: str
) -> dict[str, Any]:
    return {
        name: posixpath.normpath(posixpath.join(directory, value))
        if name in names and isinstance(value, str)
        else value
        for name, value in config.items()
    }
