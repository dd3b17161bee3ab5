"""The kernels of failed runs among Jupyter's own, so that JupyterLab shows and opens them.

A worker keeps them and writes a file for each. Jupyter's kernel manager is given a manager of its
own kind for the process that already runs, and a session that ties the executed notebook to it:
opening that notebook is opening it with all its variables. Shutting the kernel down in JupyterLab
ends it. ``jupyter_client`` can adopt kernels by itself (``external_connection_dir``), but cannot
end those, gives them another id with each server, and a user may have set its directory already.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil
from jupyter_client.provisioning.provisioner_base import KernelProvisionerBase

from opspawn_jupyter.model.clock import now
from opspawn_jupyter.model.event import Event
from opspawn_jupyter.model.states import EventType

logger = logging.getLogger(__name__)

_LOOK_SECONDS = 0.5


class KeptProvisioner(KernelProvisionerBase):
    """Stands for a kernel process that somebody else started."""

    kept_process: psutil.Process | None = None

    @property
    def has_process(self) -> bool:
        """See the base class."""
        return self.kept_process is not None

    async def poll(self) -> int | None:
        """None while it lives."""
        process = self.kept_process
        with suppress(psutil.Error):
            if process and process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                return None
        return 0

    async def wait(self) -> int | None:
        """Return once it has ended."""
        while await self.poll() is None:  # noqa: ASYNC110  # no child of ours: it tells nobody
            await asyncio.sleep(0.05)
        return 0

    async def send_signal(self, signum: int) -> None:
        """Signal the process; its group where that is how Jupyter does it."""
        if self.kept_process is None or await self.poll() is not None:
            return
        with suppress(ProcessLookupError, psutil.NoSuchProcess):
            if signum == signal.SIGINT:
                os.killpg(os.getpgid(self.kept_process.pid), signum)
            else:
                self.kept_process.send_signal(signum)

    async def kill(self, restart: bool = False) -> None:  # noqa: ARG002 (the base's)
        """Kill it."""
        await self.send_signal(signal.SIGKILL)

    async def terminate(self, restart: bool = False) -> None:  # noqa: ARG002 (the same)
        """Ask it to end."""
        await self.send_signal(signal.SIGTERM)

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> Any:  # noqa: ARG002 (the same)
        """It runs already; there is no way to start it again."""
        msg = "the kernel of a failed run cannot be started again"
        raise RuntimeError(msg)

    async def cleanup(self, restart: bool = False) -> None:
        """Its worker clears up behind it."""


@dataclass(frozen=True, kw_only=True)
class _Record:
    """What a worker wrote about a kernel that it keeps."""

    id: str
    connection: Mapping[str, Any]
    kernel_name: str
    notebook: Path
    process: psutil.Process


@dataclass(frozen=True, kw_only=True)
class Managers:
    """Jupyter's own; any classes that a user may have configured."""

    kernels: Any
    sessions: Any


class KeptKernels:
    """Keeps Jupyter's list of kernels in step with the workers' files. As a ``Bus`` it hears when
    to look."""

    def __init__(self, root: Path, directory: Path, managers: Managers | None) -> None:
        self._root = root
        self._directory = directory
        self._kernels: Any = managers.kernels if managers else None
        self._sessions: Any = managers.sessions if managers else None
        self._adopted: dict[str, Any] = {}
        self._wake = asyncio.Event()

    def tell(self, events: Sequence[Event]) -> None:
        """A kernel may have been kept."""
        if any(event.type is EventType.KERNEL_KEPT for event in events):
            self._wake.set()

    async def run(self) -> None:
        """Follow the files until cancelled; then take ours out of the list, without ending them:
        Jupyter would."""
        try:
            hurry = 0
            while True:
                await self._look()
                hurry = 20 if self._wake.is_set() else max(0, hurry - 1)
                self._wake.clear()
                timeout = _LOOK_SECONDS if self._adopted or hurry else None
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), timeout)
        finally:
            for kernel_id in list(self._adopted):
                self._forget(kernel_id)

    async def _look(self) -> None:
        records = await asyncio.to_thread(read, self._directory)
        known = {record.id for record in records}
        for kernel_id in self._adopted.keys() - known:
            self._forget(kernel_id)
        for record in records:
            if record.id not in self._adopted:
                await self._adopt(record)

    async def _adopt(self, record: _Record) -> None:
        try:
            self._adopted[record.id] = await self._list(record)
            logger.info("kept kernel listed kernel_id=%s", record.id)
        except Exception:  # Jupyter's managers are replaceable, and the server must go on
            logger.exception("kept kernel cannot be listed kernel_id=%s", record.id)
            self._adopted[record.id] = None

    async def _list(self, record: _Record) -> Any:
        kernels = self._kernels
        manager = kernels.kernel_manager_factory(parent=kernels, log=kernels.log)
        manager.kernel_id, manager.kernel_name = record.id, record.kernel_name
        manager.load_connection_info(dict(record.connection))
        provisioner = KeptProvisioner(
            kernel_id=record.id, kernel_spec=manager.kernel_spec, parent=manager
        )
        provisioner.kept_process = record.process
        manager.provisioner = provisioner
        manager.ready.set_result(None)
        manager.execution_state, manager.last_activity = "idle", now()
        kernels._kernels[record.id] = manager  # noqa: SLF001 (as jupyter_client's own adoption)
        kernels._kernel_connections[record.id] = 0  # noqa: SLF001 (as starting a kernel does)
        kernels._kernel_ports[record.id] = manager.ports  # noqa: SLF001 (the same)
        kernels.start_watching_activity(record.id)
        await self._tie_to_notebook(record)
        return manager

    async def _tie_to_notebook(self, record: _Record) -> None:
        if not record.notebook.is_relative_to(self._root):
            return
        path = record.notebook.relative_to(self._root).as_posix()
        await self._sessions.create_session(
            path=path, name=record.notebook.name, type="notebook",
            kernel_name=record.kernel_name, kernel_id=record.id,
        )  # fmt: skip

    def _forget(self, kernel_id: str) -> None:
        """Take it out of the list, unless Jupyter has done so because somebody shut it down."""
        manager = self._adopted.pop(kernel_id)
        if manager is None or self._kernels._kernels.get(kernel_id) is not manager:  # noqa: SLF001
            return
        self._kernels.stop_watching_activity(kernel_id)
        self._kernels.stop_buffering(kernel_id)
        self._kernels.remove_kernel(kernel_id)
        self._kernels._kernel_connections.pop(kernel_id, None)  # noqa: SLF001 (set above)
        self._kernels._kernel_ports.pop(kernel_id, None)  # noqa: SLF001 (set above)
        logger.info("kept kernel no longer listed kernel_id=%s", kernel_id)


def are_there_any(directory: Path) -> bool:
    """Some worker keeps a kernel."""
    return bool(read(directory))


def read(directory: Path) -> tuple[_Record, ...]:
    """The kernels that live, by the files of this directory; traces of dead ones are removed."""
    found = []
    for path in sorted(directory.glob("*.json")):
        record = _read(path)
        if record is None:
            path.unlink(missing_ok=True)
        else:
            found.append(record)
    return tuple(found)


def _read(path: Path) -> _Record | None:
    try:
        written = json.loads(path.read_bytes())
        process = psutil.Process(written["pid"])
        connection = json.loads(Path(written["connection_file"]).read_bytes())
        if datetime.fromisoformat(written["kept_at"]).timestamp() < process.create_time():
            return None  # the id is another process's by now
        return _Record(
            id=written["id"],
            connection=connection,
            kernel_name=written["kernel_name"],
            notebook=Path(written["run_directory"]) / "output.ipynb",
            process=process,
        )
    except (OSError, ValueError, KeyError, TypeError, psutil.Error):
        return None
