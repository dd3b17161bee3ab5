"""Where the files of schedules lie: pinned notebooks, and the links to their latest runs."""

from __future__ import annotations

import re
from pathlib import Path

from opspawn_jupyter.orchestrator.context import Orchestration
from opspawn_jupyter.settings import Settings

#: In the directory of runs: a link for each schedule.
_LATEST = "latest"
_UNSAFE = re.compile(r"[^\w.-]+")


def pinned_file(o: Orchestration, schedule_id: str, digest: str) -> Path:
    """Where the pinned notebook of this content lies."""
    return o.settings.state_directory / "schedules" / schedule_id / f"{digest}.ipynb"


def latest_link(settings: Settings, name: str) -> Path:
    """What leads to the latest run of the schedule of this name."""
    return settings.runs_directory / _LATEST / _UNSAFE.sub("-", name)


def move_latest_link(settings: Settings, old: str, new: str) -> None:
    """Let the link bear the schedule's new name."""
    link = latest_link(settings, old)
    if link.is_symlink():
        link.replace(latest_link(settings, new))
