"""What a state directory and the processes of this machine show, with a server or without."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from opspawn_jupyter.client.state_files import living_workers
from opspawn_jupyter.model.diagnosis import Finding, Verdict
from opspawn_jupyter.model.ids import short

_PRIVATE = ("server.json", "opspawn.duckdb", "journal", "workers")


def permissions(state_directory: Path) -> Iterator[Finding]:
    """Whether others can read the state, or its owner cannot write it."""
    check = "state directory"
    try:
        status = state_directory.stat()
    except OSError as failure:
        reason = (failure.strerror or "").lower()
        message = f"{state_directory}: {reason}; the first server makes it"
        yield Finding(check=check, verdict=Verdict.OK, message=message)
        return
    if not stat.S_ISDIR(status.st_mode):
        yield _finding(check, f"{state_directory} is no directory", "move the file away")
    elif not os.access(state_directory, os.R_OK | os.W_OK | os.X_OK):
        advice = f"chown -R {os.getuid()} {state_directory}"
        yield _finding(check, f"{state_directory} cannot be written by this account", advice)
    elif status.st_mode & 0o077:
        advice = f"chmod 700 {state_directory}"
        message = f"{state_directory} can be read by other accounts"
        yield Finding(check=check, verdict=Verdict.WARNING, message=message, advice=advice)
    else:
        closed = [name for name in _PRIVATE if _is_closed_to_us(state_directory / name)]
        if closed:
            advice = f"chown -R {os.getuid()} {state_directory}"
            yield _finding(check, f"cannot be read and written: {', '.join(closed)}", advice)
        else:
            yield Finding(
                check=check, verdict=Verdict.OK, message=f"{state_directory} is its owner's alone"
            )


def leftovers(root: Path, state_directory: Path, *, has_server: bool) -> Iterator[Finding]:
    """Processes of runs without a worker, and workers without a server."""
    check = "processes"
    workers = living_workers(state_directory)
    orphans = [] if workers else list(_run_processes(root))
    if orphans:
        shown = ", ".join(f"{pid} of task {short(task_id)}" for pid, task_id in orphans[:5])
        advice = "end them: kill " + " ".join(str(pid) for pid, _ in orphans)
        message = f"{len(orphans)} run on without a worker: {shown}"
        yield Finding(check=check, verdict=Verdict.WARNING, message=message, advice=advice)
    elif workers and not has_server:
        named = ", ".join(f"{one.worker_id} (process {one.pid})" for one in workers)
        message = f"{named} runs on without a server"
        advice = "start the server again: it takes over what the worker has to tell"
        yield Finding(check=check, verdict=Verdict.WARNING, message=message, advice=advice)
    else:
        yield Finding(check=check, verdict=Verdict.OK, message="none is left over")


def free_bytes(path: Path) -> int:
    """Room on the disk of the path, or of the nearest directory above it that exists."""
    return shutil.disk_usage(next(one for one in (path, *path.parents) if one.exists())).free


def _run_processes(root: Path) -> Iterator[tuple[int, str]]:
    """Process and task of every kernel, and of what it started, of runs under this root."""
    import psutil  # 8 ms, and few commands need it

    for process in psutil.process_iter():
        try:
            environment = process.environ()
        except psutil.Error:
            continue  # another account's, or gone
        directory = environment.get("OPSPAWN_RUN_DIRECTORY", "")
        if directory and Path(directory).is_relative_to(root) and process.pid != os.getpid():
            yield process.pid, environment.get("OPSPAWN_TASK_ID", "")


def _is_closed_to_us(path: Path) -> bool:
    return path.exists() and not os.access(path, os.R_OK | os.W_OK)


def _finding(check: str, message: str, advice: str) -> Finding:
    return Finding(check=check, verdict=Verdict.PROBLEM, message=message, advice=advice)
