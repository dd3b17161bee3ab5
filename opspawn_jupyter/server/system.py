"""The system, put together: which adapter answers which port."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Self

from opspawn_jupyter.buses.fanout import FanoutBus
from opspawn_jupyter.buses.websocket import WebsocketBus
from opspawn_jupyter.errors import StoreUnavailable
from opspawn_jupyter.files import write_json
from opspawn_jupyter.model import clock
from opspawn_jupyter.orchestrator.context import Orchestration
from opspawn_jupyter.ports import Kind, Store
from opspawn_jupyter.queues.local import LocalQueue
from opspawn_jupyter.server.supervisor import Supervisor
from opspawn_jupyter.settings import Settings

logger = logging.getLogger(__name__)

#: Kernelspecs by name, as Jupyter's manager gives them; called in threads.
KernelSpecs = Callable[[], Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True)
class System:
    """Everything that is open while the server runs."""

    orchestration: Orchestration
    bus: WebsocketBus
    supervisor: Supervisor
    worker_token: str

    @classmethod
    async def open(cls, settings: Settings, kernel_specs: KernelSpecs, url: str) -> Self:
        """The system, ready to take tasks. Raises ``StoreUnavailable``.

        ``url`` is where workers of this machine reach the server.
        """
        await asyncio.to_thread(_make_private, settings.state_directory)
        store = await _open_store(settings)
        try:
            return await cls._assemble(settings, kernel_specs, url, store)
        except BaseException:
            _announcement(settings).unlink(missing_ok=True)
            await store.close()
            raise

    @classmethod
    async def _assemble(
        cls, settings: Settings, kernel_specs: KernelSpecs, url: str, store: Store
    ) -> Self:
        bus, supervisor = WebsocketBus(), Supervisor()
        system = cls(
            orchestration=Orchestration(
                store=store,
                queue=LocalQueue(),
                bus=FanoutBus(bus, supervisor),
                kinds=await asyncio.to_thread(_load_kinds, settings, kernel_specs),
                settings=settings,
            ),
            bus=bus,
            supervisor=supervisor,
            worker_token=secrets.token_urlsafe(32),
        )
        await asyncio.to_thread(system._announce, url)
        await supervisor.start(system.orchestration)
        return system

    @property
    def problem(self) -> str | None:
        """What is wrong, and what to do about it, though tasks are accepted."""
        return self.supervisor.problem

    @property
    def unfinished_count(self) -> int:
        """How many tasks are not final."""
        return self.supervisor.unfinished_count

    async def close(self) -> None:
        """Let go of everything, in the reverse order."""
        settings = self.orchestration.settings
        self.bus.close()
        await self.supervisor.close(settings.terminate_grace_seconds)
        await asyncio.to_thread(_announcement(settings).unlink, missing_ok=True)
        await self.orchestration.store.close()

    def _announce(self, url: str) -> None:
        """Tell workers where the server is, and the secret that lets them in."""
        written = {
            "url": url,
            "worker_token": self.worker_token,
            "pid": os.getpid(),
            "started_at": clock.now().isoformat(),
        }
        write_json(_announcement(self.orchestration.settings), written, mode=0o600)


def _announcement(settings: Settings) -> Path:
    return settings.state_directory / "server.json"


def _make_private(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        directory.chmod(0o700)
    except OSError as failure:
        raise StoreUnavailable(str(directory), hint=failure.strerror or "") from failure


async def _open_store(settings: Settings) -> Store:
    store_class = await asyncio.to_thread(_import_store)
    store: Store = await store_class.open(
        settings.state_directory,
        sql_timeout_seconds=settings.sql_timeout_seconds,
        sql_max_rows=settings.sql_max_rows,
    )
    return store


def _import_store() -> Any:  # the class; its type would import DuckDB before it is needed
    from opspawn_jupyter.stores.duckdb import DuckDBStore

    return DuckDBStore


def _load_kinds(settings: Settings, kernel_specs: KernelSpecs) -> dict[str, Kind]:
    found = entry_points(group="opspawn_jupyter.kinds")
    return {entry.name: entry.load()(settings, kernel_specs) for entry in found}
