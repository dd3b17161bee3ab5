"""What the server knows of itself, for ``opspawn doctor``."""

from __future__ import annotations

import asyncio
import platform
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from opspawn_jupyter.model.diagnosis import (
    Diagnosis,
    DirectoryUse,
    DiskUse,
    KernelStatus,
    WorkerStatus,
)
from opspawn_jupyter.model.health import Health
from opspawn_jupyter.model.run_directory import RunDirectory
from opspawn_jupyter.model.states import State
from opspawn_jupyter.model.task import Task
from opspawn_jupyter.orchestrator.context import Orchestration
from opspawn_jupyter.orchestrator.disposal import size_bytes
from opspawn_jupyter.server.fork_servers import statuses, tier
from opspawn_jupyter.server.worker_process import WorkerProcess
from opspawn_jupyter.settings import Settings

_PACKAGES = (
    "opspawn-jupyter", "jupyter-server", "jupyterlab", "ipykernel", "papermill", "nbclient",
    "duckdb",
)  # fmt: skip
_LARGEST = 5
#: Names for which Jupyter starts the server's own Python.
_OWN_PYTHON = frozenset({"python", f"python{sys.version_info[0]}"})


async def diagnose(
    o: Orchestration,
    health: Health,
    workers: Sequence[WorkerProcess],
    kernel_specs: Callable[[], Mapping[str, Any]],
) -> Diagnosis:
    """Everything about an open system; takes as long as a walk through the run directories."""
    tasks = await o.store.unfinished()
    known = await o.store.sql("SELECT run_directory FROM tasks WHERE pruned_at IS NULL")
    return Diagnosis(
        health=health,
        versions=await asyncio.to_thread(versions),
        root_directory=str(o.settings.root_directory),
        state_directory=str(o.settings.state_directory),
        runs_directory=str(o.settings.runs_directory),
        store=await asyncio.to_thread(o.store.status),
        unfinished=dict(Counter(task.state.value for task in tasks)),
        workers=tuple(_worker(worker, tasks) for worker in workers),
        kernels=await asyncio.to_thread(lambda: _kernels(kernel_specs())),
        fork_servers=await asyncio.to_thread(statuses, o.settings.state_directory),
        disk=await asyncio.to_thread(_disk_use, o.settings),
        # Of a history too long to be listed nobody can say; it was not lost, then.
        unknown_runs=0
        if known.truncated
        else await asyncio.to_thread(_unknown, o.settings, {path for (path,) in known.rows}),
    )


def versions() -> Mapping[str, str]:
    """Versions of Python and of the packages that matter, where they are installed."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _worker(worker: WorkerProcess, tasks: Sequence[Task]) -> WorkerStatus:
    running = (
        task.id for task in tasks if task.state is State.RUNNING and task.worker == worker.worker_id
    )
    return WorkerStatus(
        worker_id=worker.worker_id,
        pid=worker.pid,
        is_alive=worker.is_alive(),
        running_tasks=tuple(running),
    )


def _kernels(specs: Mapping[str, Any]) -> tuple[KernelStatus, ...]:
    found = (
        KernelStatus(
            name=name,
            language=str(entry["spec"].get("language", "")).lower(),
            problem=_kernel_problem(entry["spec"].get("argv") or []),
            **tier(entry["spec"].get("argv") or []),
        )
        for name, entry in specs.items()
    )
    return tuple(sorted(found, key=lambda kernel: kernel.name))


def _kernel_problem(argv: Sequence[str]) -> str | None:
    if not argv:
        return "its kernelspec names no program"
    program = argv[0]
    if program in _OWN_PYTHON or shutil.which(program):
        return None
    return f"its program {program!r} does not exist"


def _disk_use(settings: Settings) -> DiskUse:
    uses = _uses(settings)
    disk = shutil.disk_usage(_existing(settings.runs_directory))
    return DiskUse(
        runs=len(uses),
        runs_bytes=sum(use.size_bytes for use in uses),
        largest=tuple(sorted(uses, key=lambda use: -use.size_bytes)[:_LARGEST]),
        free_bytes=disk.free,
        total_bytes=disk.total,
        state_free_bytes=shutil.disk_usage(_existing(settings.state_directory)).free,
    )


def _unknown(settings: Settings, known: Collection[str]) -> int:
    """How many run directories have a submission in them and are not among the known ones."""
    root = settings.root_directory
    return sum(
        path.relative_to(root).as_posix() not in known and RunDirectory(path).task.is_file()
        for path in _runs(settings)
    )


def _uses(settings: Settings) -> list[DirectoryUse]:
    root = settings.root_directory
    return [
        DirectoryUse(path=path.relative_to(root).as_posix(), size_bytes=size_bytes(path))
        for path in _runs(settings)
    ]


def _runs(settings: Settings) -> list[Path]:
    runs = settings.runs_directory
    if not runs.is_dir():
        return []
    return [path for path in runs.iterdir() if path.is_dir() and not path.is_symlink()]


def _existing(path: Path) -> Path:
    """The path, or the nearest directory above it that exists."""
    return next(one for one in (path, *path.parents) if one.exists())
