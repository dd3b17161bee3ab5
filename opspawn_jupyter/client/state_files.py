"""What a server leaves in its state directory, for those who look at it from outside."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: Names under a server's root, unless its settings say otherwise.
STATE_DIRECTORY = ".opspawn"
RUNS_DIRECTORY = "opspawn_runs"

_CLOCK_TOLERANCE_SECONDS = 2.0


@dataclass(frozen=True, kw_only=True)
class LivingWorker:
    """A worker process that runs, with a server or without."""

    worker_id: str
    pid: int


def root_above(directory: Path) -> Path:
    """The nearest directory, from this one up, that holds a state directory or runs; this one
    where there is none."""
    for path in (directory, *directory.parents):
        if (path / STATE_DIRECTORY).is_dir() or (path / RUNS_DIRECTORY).is_dir():
            return path
    return directory


def server_pid(state_directory: Path) -> int | None:
    """Process id of the server that has the state directory, if one runs."""
    import psutil  # 8 ms, and few commands need it

    announced = state_directory / "server.json"
    said = _read(announced)
    try:
        pid = int(said["pid"])
        started_at = psutil.Process(pid).create_time()
        is_same = started_at <= announced.stat().st_mtime + _CLOCK_TOLERANCE_SECONDS
    except (KeyError, TypeError, ValueError, OSError, psutil.Error):
        return None
    return pid if is_same else None


def living_workers(state_directory: Path) -> tuple[LivingWorker, ...]:
    """The workers that run."""
    import psutil  # as above

    found = []
    for record in sorted((state_directory / "workers").glob("*.json")):
        said = _read(record)
        try:
            process = psutil.Process(int(said["pid"]))
            is_same = abs(process.create_time() - float(said["created"])) < 0.01
            if is_same and process.status() != psutil.STATUS_ZOMBIE:
                found.append(LivingWorker(worker_id=record.stem, pid=process.pid))
        except (KeyError, TypeError, ValueError, psutil.Error):
            continue  # it has ended
    return tuple(found)


def _read(path: Path) -> Mapping[str, Any]:
    try:
        said = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return said if isinstance(said, dict) else {}
