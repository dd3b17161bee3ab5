"""What the task of a step is asked for, from the step's config."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from typing import Any

#: Fields of a kind's spec that are paths, and start in the workflow's directory.
_PATHS: Mapping[str, tuple[str, ...]] = {
    "notebook": ("notebook", "working_directory"),
    "workflow": ("path", "directory"),
}


def step_spec(name: str, kind: object, config: Mapping[str, Any], directory: str) -> dict[str, Any]:
    """The config as the kind's spec: paths of notebooks and workflows start in the directory of
    the workflow's own file, where plugins run, too. ``name``: the kind's."""
    names = _PATHS.get(name, ())
    own = {"working_directory": directory} if getattr(kind, "runs_in_directory", False) else {}
    return {
        **own,
        **_from_directory(config, names, directory),
    }


def _from_directory(
    config: Mapping[str, Any], names: tuple[str, ...], directory: str
) -> dict[str, Any]:
    return {
        name: posixpath.normpath(posixpath.join(directory, value))
        if name in names and isinstance(value, str)
        else value
        for name, value in config.items()
    }
