"""One small installation that is broken on purpose: its servers, its tasks, and what must hold.

A server that died is started again, on a new port and with a new token, whenever something is
asked of it. What must hold in the end whatever happened is in ``checks.py``.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import time
import urllib.error
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

import jupyter_process
from jupyter_process import PATIENCE_SECONDS, JupyterProcess, runners

GRACE_SECONDS = 1.0
_ENABLED = "--ServerApp.jpserver_extensions={'opspawn_jupyter': True}"
_KERNELSPEC = {"name": "python3", "display_name": "Python 3", "language": "python"}

#: First in each notebook. Each cell leaves one mark each time that it is run, and by which kernel.
PREAMBLE = """
import os, subprocess, sys, time
def mark(cell):
    path = os.path.join(os.environ["OPSPAWN_RUN_DIRECTORY"], "artifacts", "marks")
    line = f"{cell} {os.getpid()}\\n".encode()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(descriptor, line)
    os.close(descriptor)
mark(0)
"""
#: Outlives its kernel unless somebody takes care.
CHILD = "subprocess.Popen(['sleep', '600'], start_new_session=True)"


class Impatience(AssertionError):
    """Something did not come to pass in time."""


@dataclass
class World:
    """A root directory with whatever runs over it."""

    root: Path
    home: Path
    #: Faults, as ``opspawn_jupyter.faults`` reads them.
    faults: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    #: Ids of the tasks whose submission was acknowledged.
    tasks: list[str] = field(default_factory=list)
    servers_started: int = 0
    #: Faults that were injected from outside.
    kills: int = 0
    _server: JupyterProcess | None = None

    @property
    def server(self) -> JupyterProcess:
        """The server, started where there is none."""
        if self._server is None or self._server.process.poll() is not None:
            self._server = self._start()
        return self._server

    @property
    def happened(self) -> set[str]:
        """The faults that have happened."""
        return {path.name for path in self._faults_directory.iterdir()}

    @property
    def _faults_directory(self) -> Path:
        directory = self.home / "faults"
        directory.mkdir(parents=True, exist_ok=True)
        return directory

    def _start(self) -> JupyterProcess:
        settings = {
            "interrupt_grace_seconds": GRACE_SECONDS,
            "terminate_grace_seconds": GRACE_SECONDS,
            **self.settings,
        }
        variables = {f"OPSPAWN_{name.upper()}": str(value) for name, value in settings.items()}
        if self.faults:
            variables["OPSPAWN_FAULTS"] = self.faults
            variables["OPSPAWN_FAULTS_DIRECTORY"] = str(self._faults_directory)
        self.servers_started += 1
        with suppress(RuntimeError):  # a fault can strike while it starts
            return jupyter_process.start(
                self.root, self.home, arguments=[_ENABLED], variables=variables
            )
        return jupyter_process.start(
            self.root, self.home, arguments=[_ENABLED], variables=variables
        )

    def api(self, method: str, path: str, body: Any = None) -> Any:
        """The answer of a server, however many must be started until one gives it; each has its
        own time, and the test as a whole has its limit."""
        started, end = self.servers_started, time.monotonic() + PATIENCE_SECONDS
        while True:
            if started != self.servers_started:
                started, end = self.servers_started, time.monotonic() + PATIENCE_SECONDS
            try:
                return self.server.api(method, path, body)
            except urllib.error.HTTPError as refusal:
                if refusal.code < 500 or time.monotonic() > end:
                    raise AssertionError(refusal.read()) from refusal
            except (OSError, http.client.HTTPException) as failure:
                if time.monotonic() > end:
                    raise Impatience(path) from failure
            time.sleep(0.05)

    def submit(self, *cells: str, key: str | None = None, **policy: Any) -> str:
        """Id of the new task, once the submission is acknowledged."""
        body = {
            "kind": "notebook",
            "spec": {"content": notebook(*cells)},
            "policy": policy,
            "idempotency_key": key or f"key-{len(self.tasks)}",
        }
        task_id = str(self.api("POST", "tasks", body)["id"])
        self.tasks.append(task_id)
        return task_id

    def task(self, task_id: str) -> dict[str, Any]:
        """The task as the server sees it."""
        found: dict[str, Any] = self.api("GET", f"tasks/{task_id}")
        return found

    def cancel(self, task_id: str) -> None:
        """Ask for its end; it may have ended."""
        with suppress(AssertionError):
            self.api("POST", f"tasks/{task_id}/cancel")

    def directory(self, task_id: str) -> Path:
        """The task's run directory."""
        return self.root / self.task(task_id)["run_directory"]

    def ended(self, task_id: str) -> dict[str, Any]:
        """The task once it is final."""
        return self.await_(
            f"{task_id} final", lambda: self.task(task_id), lambda task: task["finished_at"]
        )

    def at_cell(self, task_id: str, cell: int) -> None:
        """Return once the cell runs, as its mark shows."""
        marks = self.directory(task_id) / "artifacts" / "marks"
        self.await_(
            f"cell {cell}",
            lambda: marks.read_text() if marks.exists() else "",
            lambda text: any(line.startswith(f"{cell} ") for line in text.splitlines()),
        )

    def await_(
        self, what: str, look: Callable[[], Any], is_right: Callable[[Any], Any] = bool
    ) -> Any:
        """The first look that is right."""
        end = time.monotonic() + PATIENCE_SECONDS
        while not is_right(found := look()):
            if time.monotonic() > end:
                raise Impatience(f"{what}: last {found!r}")
            time.sleep(0.05)
        return found

    def kill_server(self) -> None:
        """As kill -9; the next request starts another."""
        if self._server is not None:
            self.kills += 1
            self._server.process.kill()
            self._server.process.wait()

    def stop_server(self) -> None:
        """As systemd does."""
        if self._server is not None:
            jupyter_process.stop(self._server.process)
            self._server = None

    def kill(self, process: psutil.Process, number: int = signal.SIGKILL) -> None:
        """Signal one process; it may be gone."""
        self.kills += 1
        with suppress(psutil.NoSuchProcess):
            process.send_signal(number)

    def workers(self) -> list[psutil.Process]:
        """The workers that live."""
        records = self.root.glob(".opspawn/workers/*.json")
        return living(int(json.loads(record.read_bytes())["pid"]) for record in records)

    def processes(self, kind: str) -> list[psutil.Process]:
        """Those of one kind: ``worker``, ``runner`` or ``kernel``."""
        if kind == "worker":
            return self.workers()
        kernels = [one for one in self.everything() if _is_kernel(one)]
        if kind == "kernel":
            return kernels
        return [runner for worker in self.workers() for runner in runners(worker)]

    def everything(self) -> list[psutil.Process]:
        """Every process of this installation."""
        return jupyter_process.processes(self.home)

    def of_task(self, task_id: str) -> list[psutil.Process]:
        """The kernel of the task and all that its cells started."""
        return [one for one in self.everything() if _task_of(one) == task_id]

    def kill_everything(self) -> None:
        """As a machine that is switched off."""
        self.kills += bool(self.everything())
        while found := self.everything():
            for process in found:
                with suppress(psutil.Error):
                    process.send_signal(signal.SIGKILL)
            if self._server is not None:
                self._server.process.wait()
            psutil.wait_procs(found, timeout=1)

    def end(self) -> None:
        """Stop what is left, and fail where something stays."""
        self.stop_server()
        left = jupyter_process.await_none(self.home)
        self.kill_everything()
        assert not left, f"orphans: {left}"

    @property
    def log(self) -> str:
        """What server and worker said."""
        files = [self.home / "server.log", self.root / ".opspawn" / "worker.log"]
        return "\n".join(file.read_text(errors="replace") for file in files if file.exists())


def living(pids: Iterable[int]) -> list[psutil.Process]:
    """Those of the processes that run."""
    found = []
    for pid in pids:
        with suppress(psutil.Error):
            process = psutil.Process(pid)
            if process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def _is_kernel(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return "ipykernel_launcher" in " ".join(process.cmdline())
    return False


def _task_of(process: psutil.Process) -> str | None:
    with suppress(psutil.Error, OSError):
        return process.environ().get("OPSPAWN_TASK_ID")
    return None


def notebook(*cells: str) -> dict[str, Any]:
    """nbformat 4 JSON; the preamble and then these cells, each with its mark."""
    sources = [PREAMBLE, *(f"mark({number})\n{cell}" for number, cell in enumerate(cells, 1))]
    made = [
        {
            "cell_type": "code",
            "id": f"cell-{number}",
            "source": source,
            "metadata": {},
            "outputs": [],
            "execution_count": None,
        }
        for number, source in enumerate(sources)
    ]
    metadata = {"kernelspec": _KERNELSPEC}
    return {"cells": made, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


def is_long() -> bool:
    """The long form was asked for."""
    return bool(os.environ.get("OPSPAWN_CHAOS_LONG"))
