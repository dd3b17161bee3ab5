"""One local worker process: started here, or left by an earlier server and adopted.

A worker outlives the server, so it is no child in asyncio's sense: asyncio kills its children
when the loop is gone. It runs in a session of its own and is watched by its process id together
with its creation time, which no later process shares.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import psutil

from opspawn_jupyter.model.work import WORKER_VARIABLE
from opspawn_jupyter.runners import processes
from opspawn_jupyter.settings import Settings

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.25
#: How long the runs of a dead worker may take to wind down: they notice its death themselves,
#: and save their notebooks.
_FAREWELL_SECONDS = 3.0
_LONGEST_LOG_BYTES = 1 << 20
#: What the server knows and user code must not.
_SECRETS = frozenset(
    {
        "JUPYTER_TOKEN",
        "JUPYTERHUB_API_TOKEN",
        "OPSPAWN_NOTIFIERS",
        "OPSPAWN_TOKEN",
        "OPSPAWN_URL",
        "OPSPAWN_WEBHOOK_SECRET",
    }
)
_JUPYTER_PREFIX = "JPY_"


@dataclass(frozen=True)
class WorkerProcess:
    """A worker that was alive when this was made."""

    worker_id: str
    process: psutil.Process | psutil.Popen

    @classmethod
    def start(cls, settings: Settings, worker_id: str) -> Self:
        """A new worker. Blocks for the time of a fork; raises ``OSError``."""
        log = settings.state_directory / "worker.log"
        _rotate(log)
        with log.open("ab") as output:
            process = psutil.Popen(
                _command(settings, worker_id),
                cwd=settings.state_directory,
                env={**worker_environment(os.environ), WORKER_VARIABLE: worker_id},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return cls(worker_id, process)

    @property
    def pid(self) -> int:
        """Its process id."""
        return int(self.process.pid)

    def is_alive(self) -> bool:
        """It runs. An ended child is also reaped by asking."""
        if isinstance(self.process, psutil.Popen):
            return self.process.poll() is None
        try:
            return self.process.is_running() and self.process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    async def end(self, grace_seconds: float) -> None:
        """Ask it to end, and after the grace period make it."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                self.process.send_signal(number)
            except psutil.NoSuchProcess:
                return
            if await self._ended(grace_seconds):
                return

    async def _ended(self, timeout_seconds: float) -> bool:
        deadline = asyncio.get_running_loop().time() + timeout_seconds
        while self.is_alive():
            if asyncio.get_running_loop().time() > deadline:
                return False
            await asyncio.sleep(POLL_SECONDS / 5)
        return True


def recorded_workers(state_directory: Path) -> frozenset[str]:
    """Ids of the workers, living or dead, that earlier servers left a trace of here."""
    return frozenset(path.stem for path in (state_directory / "workers").glob("*.json"))


def living_workers(state_directory: Path) -> tuple[WorkerProcess, ...]:
    """The workers that earlier servers left running here; traces of dead ones are removed."""
    records = sorted((state_directory / "workers").glob("*.json"))
    found = {path: _living(path) for path in records}
    for path, worker in found.items():
        if worker is None:
            path.unlink(missing_ok=True)
    return tuple(worker for worker in found.values() if worker is not None)


def forget(state_directory: Path, worker_id: str) -> None:
    """Remove the record of a worker that died without doing so."""
    (state_directory / "workers" / f"{worker_id}.json").unlink(missing_ok=True)


def end_family(worker_id: str) -> None:
    """Return once nothing lives that a dead worker started: what is not gone soon is killed.

    Nothing else may be done about its tasks before: a run that is still winding down writes its
    files, and a second attempt would run beside the first. Blocks; call it in a thread.
    """
    psutil.wait_procs(processes.marked(WORKER_VARIABLE, worker_id), timeout=_FAREWELL_SECONDS)
    while left := processes.marked(WORKER_VARIABLE, worker_id):
        processes.kill(left)
        _, stuck = psutil.wait_procs(left, timeout=_FAREWELL_SECONDS)
        if stuck:
            logger.error("processes cannot be killed pids=%s", [process.pid for process in stuck])
            return


def worker_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The server's environment less its secrets: what an interactive kernel would get."""
    return {
        name: value
        for name, value in environment.items()
        if name not in _SECRETS and not name.startswith(_JUPYTER_PREFIX)
    }


def _command(settings: Settings, worker_id: str) -> list[str]:
    arguments = {
        "--state-directory": settings.state_directory,
        "--worker-id": worker_id,
        "--slots": settings.max_running_tasks,
        "--spare-runners": settings.spare_runners,
        "--interrupt-grace": settings.interrupt_grace_seconds,
        "--terminate-grace": settings.terminate_grace_seconds,
        "--kernel-start-timeout": settings.kernel_start_timeout_seconds,
    }
    flat = [str(part) for pair in arguments.items() for part in pair]
    # -P: no module of the user's that lies in the current directory is taken for a library.
    return [sys.executable, "-P", "-m", "opspawn_jupyter.worker", *flat]


def _rotate(log: Path) -> None:
    if log.exists() and log.stat().st_size > _LONGEST_LOG_BYTES:
        log.replace(log.with_suffix(".log.1"))


def _living(record: Path) -> WorkerProcess | None:
    try:
        written = json.loads(record.read_bytes())
        process = psutil.Process(written["pid"])
        is_same = abs(process.create_time() - written["created"]) < 0.01
    except (OSError, ValueError, KeyError, TypeError, psutil.Error):
        return None  # half written, unreadable or of a process that is gone
    worker = WorkerProcess(record.stem, process)
    return worker if is_same and worker.is_alive() else None
