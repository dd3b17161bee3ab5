"""The files of one task, by name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from opspawn_jupyter.model.ids import short

#: Characters of a task's name that may stand in a directory's name on every file system.
_UNSAFE = re.compile(r"[^\w.-]+")
_LONGEST_NAME = 60
_INPUT = "input.ipynb"
_OUTPUT = "output.ipynb"
_EVENTS = "events.jsonl"
_LOG = "run.log"
_SUMMARY = "summary.json"
_ARTIFACTS = "artifacts"
_ENVIRONMENT = "environment.json"


def directory_name(name: str, task_id: str, created_at: datetime) -> str:
    """``<name>_<UTC>_<id>``: sorts by name and time; the id keeps two runs in one second apart."""
    safe = _UNSAFE.sub("-", name).strip("-.")[:_LONGEST_NAME] or "task"
    return f"{safe}_{created_at:%Y%m%dT%H%M%SZ}_{short(task_id)}"


@dataclass(frozen=True)
class RunDirectory:
    """Where one task keeps what it was given and what it made."""

    path: Path

    @property
    def task(self) -> Path:
        """What was submitted, from which `opspawn store rebuild` restores the history."""
        return self.path / "task.json"

    @property
    def input(self) -> Path:
        """The notebook as it was when the task was submitted; never changed."""
        return self.path / _INPUT

    @property
    def output(self) -> Path:
        """The executed notebook: valid JSON at every moment, complete at the end."""
        return self.path / _OUTPUT

    @property
    def events(self) -> Path:
        """The worker's journal, one JSON object a line."""
        return self.path / _EVENTS

    @property
    def log(self) -> Path:
        """What happened, for people."""
        return self.path / _LOG

    @property
    def summary(self) -> Path:
        """The outcome, for programs: cells, outputs and error as JSON."""
        return self.path / _SUMMARY

    @property
    def tape(self) -> Path:
        """What an agent was answered, unit by unit; see ``agentkit.tape``."""
        return self.path / "tape.jsonl"

    @property
    def artifacts(self) -> Path:
        """Files that the task leaves for others."""
        return self.path / _ARTIFACTS

    @property
    def environment(self) -> Path:
        """What it ran with: Python, platform, kernel, packages and their versions."""
        return self.path / _ENVIRONMENT


class RunPaths:
    """Some of them as text, for whoever makes hundreds a second: it takes as long to make a
    ``Path`` as to write a small file."""

    def __init__(self, directory: str) -> None:
        self.input = f"{directory}/{_INPUT}"
        self.output = f"{directory}/{_OUTPUT}"
        self.events = f"{directory}/{_EVENTS}"
        self.log = f"{directory}/{_LOG}"
        self.summary = f"{directory}/{_SUMMARY}"
        self.artifacts = f"{directory}/{_ARTIFACTS}"
        self.environment = f"{directory}/{_ENVIRONMENT}"
