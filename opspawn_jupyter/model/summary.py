"""``summary.json``: what became of a task, for programs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from opspawn_jupyter import files
from opspawn_jupyter.model import wire
from opspawn_jupyter.model.json_text import encoder
from opspawn_jupyter.model.run_directory import RunDirectory
from opspawn_jupyter.model.task import Task

_encode = encoder(allow_nan=False)
#: What of a task its summary tells.
_SUMMARISED = (
    "id", "name", "kind", "state", "attempt", "started_at", "finished_at", "cells", "outputs",
    "error",
)  # fmt: skip


def write(directory: RunDirectory, task: Task) -> None:
    """Put the task down as it stands now. Raises ``OSError``."""
    held = vars(task)
    facts = {name: held[name] for name in _SUMMARISED}
    put(directory.summary, {**facts, "duration_seconds": task.duration_seconds})


def put(path: Path | str, facts: Mapping[str, Any]) -> None:
    """Put these facts of a task down as its summary. Raises ``OSError``."""
    files.write_atomic(path, _text(facts).encode() + b"\n")


def _text(facts: Mapping[str, Any]) -> str:
    try:
        return _encode(facts)  # where they are JSON already, as those of small steps are
    except (TypeError, ValueError):
        return wire.to_json(facts)
