"""``summary.json``: what became of a task, for programs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opspawn_jupyter import files
from opspawn_jupyter.model import wire
from opspawn_jupyter.model.run_directory import RunDirectory
from opspawn_jupyter.model.task import Task

#: What of a task its summary tells.
_SUMMARISED = (
    "id", "name", "kind", "state", "attempt", "started_at", "finished_at", "cells", "outputs",
    "error",
)  # fmt: skip


def write(directory: RunDirectory, task: Task) -> None:
    """Put the task down as it stands now. Raises ``OSError``."""
    held = vars(task)
    put(directory, {name: held[name] for name in _SUMMARISED}, task.duration_seconds)


def put(directory: RunDirectory, facts: Mapping[str, Any], duration_seconds: float | None) -> None:
    """Put these facts of a task down. Raises ``OSError``."""
    text = wire.to_json({**facts, "duration_seconds": duration_seconds})
    files.write_atomic(directory.summary, text.encode() + b"\n")
