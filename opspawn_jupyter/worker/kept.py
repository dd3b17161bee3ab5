"""Kernels of failed runs that stay for a while: how many, how long, and that they do end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import psutil

from opspawn_jupyter import files
from opspawn_jupyter.lines import Lines
from opspawn_jupyter.model import wire
from opspawn_jupyter.model.clock import now
from opspawn_jupyter.model.task import Task
from opspawn_jupyter.model.work import Grace
from opspawn_jupyter.runners import processes
from opspawn_jupyter.worker import aftermath, channel
from opspawn_jupyter.worker.launcher import Launcher

#: What a runner gets beyond its time before it is killed.
_MARGIN_SECONDS = 5.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Kept:
    """What is left of an attempt: the runner that stays with the kernel."""

    task: Task
    process: BaseProcess
    runner: psutil.Process | None
    kernel: psutil.Process | None
    line: Lines


class KeptKernels:
    """Looks after them, and tells the server of them by a file for each."""

    def __init__(self, directory: Path, launcher: Launcher, grace: Grace) -> None:
        self._directory = directory
        self._launcher = launcher
        self._grace = grace
        #: Oldest first.
        self._kept: dict[str, Kept] = {}
        self._watching: set[asyncio.Task[None]] = set()

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._watching)

    def add(self, kept: Kept, most: int) -> None:
        """Look after this one, too; the oldest beyond ``most`` end."""
        self._kept[kept.task.id] = kept
        watching = asyncio.ensure_future(self._watch(kept))
        self._watching.add(watching)
        watching.add_done_callback(self._watching.discard)
        for oldest in list(self._kept.values())[:-most]:
            self._end(oldest)

    async def close(self) -> None:
        """End all of them."""
        for kept in list(self._kept.values()):
            self._end(kept)
        await asyncio.gather(*self._watching)

    def _end(self, kept: Kept) -> None:
        self._kept.pop(kept.task.id, None)
        kept.line.say(channel.cancel_message())
        graces = 2 * self._grace.terminate_seconds + _MARGIN_SECONDS
        asyncio.get_running_loop().call_later(graces, _kill, kept)

    async def _watch(self, kept: Kept) -> None:
        record = self._record(kept)
        try:
            await self._runner_ended(kept)
        finally:
            _kill(kept)
            self._kept.pop(kept.task.id, None)
            kept.line.close()
            record.unlink(missing_ok=True)
            runner_pid = kept.runner.pid if kept.runner else 0
            await asyncio.to_thread(aftermath.clean_up, kept.task.id, runner_pid, kept.kernel)
        _log.info("kept kernel ended task_id=%s", kept.task.id)

    async def _runner_ended(self, kept: Kept) -> None:
        """Return when it has, or should have long ago."""
        left = 0.0
        if kept.task.kept_kernel is not None:
            left = (kept.task.kept_kernel.expires_at - now()).total_seconds()
        graces = 2 * self._grace.terminate_seconds + _MARGIN_SECONDS
        await self._launcher.exit_code(kept.process, max(0.0, left) + graces)

    def _record(self, kept: Kept) -> Path:
        """The file by which the server finds the kernel; with the way into it, so only for us."""
        facts = _facts(kept)
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._directory / f"{facts['id']}.json"
        files.write_json(path, facts, mode=0o600)
        _log.info("kernel kept task_id=%s kernel_id=%s", kept.task.id, facts["id"])
        return path


def _facts(kept: Kept) -> Mapping[str, Any]:
    return {
        **wire.encode(kept.task.kept_kernel),
        "task_id": kept.task.id,
        "task_name": kept.task.name,
        "kernel_name": kept.task.spec["kernel"],
        "run_directory": kept.task.run_directory,
        "pid": kept.kernel.pid if kept.kernel else 0,
        "kept_at": wire.encode(now()),
    }


def _kill(kept: Kept) -> None:
    if kept.runner is not None and kept.runner.is_running():
        processes.kill_session(kept.runner.pid, [kept.runner])
