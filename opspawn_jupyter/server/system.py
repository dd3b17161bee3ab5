"""The system, put together: which adapter answers which port."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Self

from opspawn_jupyter.broker.opening import open_keys
from opspawn_jupyter.buses.fanout import FanoutBus
from opspawn_jupyter.buses.hooks import HookBus
from opspawn_jupyter.buses.notifications import Notifications
from opspawn_jupyter.buses.openlineage import LineageBus
from opspawn_jupyter.buses.webhook import Webhook
from opspawn_jupyter.buses.websocket import WebsocketBus
from opspawn_jupyter.errors import StoreUnavailable
from opspawn_jupyter.files import write_json
from opspawn_jupyter.kinds.plugin import plugin_kinds
from opspawn_jupyter.kinds.recent_specs import RecentSpecs
from opspawn_jupyter.model import clock
from opspawn_jupyter.model.diagnosis import Diagnosis
from opspawn_jupyter.model.health import Health
from opspawn_jupyter.orchestrator.context import Orchestration
from opspawn_jupyter.orchestrator.wake import keep_waking
from opspawn_jupyter.ports import Kind, MeetsKinds, Store
from opspawn_jupyter.queues.limits import Limits
from opspawn_jupyter.queues.local import LocalQueue
from opspawn_jupyter.server.agents import Agents
from opspawn_jupyter.server.anchors import Anchors
from opspawn_jupyter.server.background import Background
from opspawn_jupyter.server.browsers import Browsers, own_address
from opspawn_jupyter.server.diagnosis import diagnose
from opspawn_jupyter.server.kept_kernels import KeptKernels, Managers, are_there_any
from opspawn_jupyter.server.maintenance import maintain
from opspawn_jupyter.server.schedules import Schedules
from opspawn_jupyter.server.supervisor import Supervisor
from opspawn_jupyter.server.tools import Tools
from opspawn_jupyter.server.worker_line import WorkerLine
from opspawn_jupyter.server.workflows import Workflows
from opspawn_jupyter.settings import Settings

logger = logging.getLogger(__name__)

#: Kernelspecs by name, as Jupyter's manager gives them; called in threads.
KernelSpecs = Callable[[], Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True)
class System:
    """Everything that is open while the server runs."""

    orchestration: Orchestration
    bus: WebsocketBus
    hooks: HookBus
    supervisor: Supervisor
    tools: Tools
    workflows: Workflows
    agents: Agents
    schedules: Schedules
    anchors: Anchors
    lineage: LineageBus
    worker_line: WorkerLine
    kernel_specs: KernelSpecs
    notice: str | None = None
    background: Background = field(default_factory=Background)

    @classmethod
    async def open(
        cls,
        settings: Settings,
        kernel_specs: KernelSpecs,
        url: str,
        managers: Managers | None = None,
    ) -> Self:
        """The system, ready to take tasks. Raises ``StoreUnavailable`` or ``SettingInvalid``.

        ``url`` is where workers of this machine reach the server. ``managers`` are shown the
        kernels of failed runs.
        """
        await asyncio.to_thread(_make_private, settings.state_directory)
        store = await _open_store(settings)
        worker_line = WorkerLine(settings.state_directory, secrets.token_urlsafe(32))
        try:
            return await cls._assemble(
                settings,
                kernel_specs,
                url,
                store=store,
                worker_line=worker_line,
                managers=managers,
            )
        except BaseException:
            await worker_line.close()
            _announcement(settings).unlink(missing_ok=True)
            await store.close()
            raise

    @classmethod
    async def _assemble(
        cls,
        settings: Settings,
        kernel_specs: KernelSpecs,
        url: str,
        *,
        store: Store,
        worker_line: WorkerLine,
        managers: Managers | None,
    ) -> Self:
        bus, supervisor = WebsocketBus(), Supervisor()
        workflows, agents = Workflows(), Agents()
        kept = KeptKernels(settings.root_directory, _kept_directory(settings), managers)
        hooks = await asyncio.to_thread(_hooks, settings, store)
        schedules = Schedules(hooks)
        anchors, lineage = Anchors(store, settings), LineageBus(store, settings)
        browsers = Browsers(settings.public_url, own_address(url, os.environ))
        tools = Tools(await asyncio.to_thread(open_keys, settings, url), browsers)
        orchestration = Orchestration(
            store=store,
            queue=LocalQueue(_limits(settings)),
            bus=FanoutBus(
                bus, supervisor, hooks, kept, tools, workflows, agents, schedules, lineage
            ),
            kinds=await asyncio.to_thread(_load_kinds, settings, kernel_specs),
            settings=settings,
            keys=tools.keys,
        )
        await tools.open(orchestration)
        system = cls(
            orchestration=orchestration,
            tools=tools,
            bus=bus,
            hooks=hooks,
            supervisor=supervisor,
            workflows=workflows,
            agents=agents,
            schedules=schedules,
            anchors=anchors,
            lineage=lineage,
            worker_line=worker_line,
            kernel_specs=kernel_specs,
            notice=await _missing_history(settings, store),
        )
        await asyncio.to_thread(system._announce, url, worker_line.bind())
        await hooks.start()
        await lineage.start()
        await supervisor.start(system.orchestration)
        await workflows.start(system.orchestration)
        await agents.start(system.orchestration)
        if managers is not None:
            system.background.start(kept.run(), "kept kernels")
        schedules.start(system.orchestration)
        system.background.start(keep_waking(system.orchestration), "wake")
        system.background.start(anchors.keep_anchoring(), "anchors")
        system.background.start(maintain(system.orchestration), "maintain")
        await worker_line.open(orchestration)
        return system

    @property
    def worker_token(self) -> str:
        """The workers' secret."""
        return self.worker_line.token

    @property
    def problem(self) -> str | None:
        """What is wrong, and what to do about it, though tasks are accepted."""
        o = self.orchestration
        return o.store.problem or self.supervisor.problem or o.breakers.problem

    @property
    def unfinished_count(self) -> int:
        """How many tasks are not final."""
        return self.supervisor.unfinished_count

    async def diagnose(self, health: Health) -> Diagnosis:
        """What is known of all of it."""
        return await diagnose(
            self.orchestration, health, self.supervisor.workers, self.kernel_specs
        )

    async def close(self) -> None:
        """Let go of everything, in the reverse order."""
        settings = self.orchestration.settings
        self.bus.close()
        await self.schedules.close()
        # Side by side: tool servers and workers each get their time, whichever the others need.
        await asyncio.gather(self.tools.close(), self._end_work())
        await asyncio.to_thread(_announcement(settings).unlink, missing_ok=True)
        await self.hooks.close()
        await self.lineage.close()
        await self.orchestration.store.close()

    async def _end_work(self) -> None:
        settings = self.orchestration.settings
        await self.worker_line.close()
        await self.background.close()
        await self.agents.close()
        await self.workflows.close()
        self.orchestration.breakers.close()
        keeps_kernels = await asyncio.to_thread(are_there_any, _kept_directory(settings))
        await self.supervisor.close(settings.terminate_grace_seconds, keeps_kernels=keeps_kernels)

    def _announce(self, url: str, worker_line: Path | None) -> None:
        """Tell workers where the server is, and the secret that lets them in."""
        written = {
            "url": url,
            "worker_line": worker_line and str(worker_line),
            "worker_token": self.worker_token,
            "pid": os.getpid(),
            "started_at": clock.now().isoformat(),
        }
        path = _announcement(self.orchestration.settings)
        try:
            write_json(path, written, mode=0o600)
        except OSError as failure:
            raise _unwritable(path, failure) from failure


def _kept_directory(settings: Settings) -> Path:
    return settings.state_directory / "kernels"


def _announcement(settings: Settings) -> Path:
    return settings.state_directory / "server.json"


def _make_private(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        directory.chmod(0o700)
    except OSError as failure:
        raise _unwritable(directory, failure) from failure


async def _missing_history(settings: Settings, store: Store) -> str | None:
    """What to say where there are runs and no history: it was lost, or moved away on purpose."""
    runs = settings.runs_directory
    if await store.last_seq() or not await asyncio.to_thread(lambda: any(runs.glob("*/task.json"))):
        return None
    sentence = (
        "There are run directories, but no history of them; if it was lost, stop the server and "
        "run `opspawn store rebuild`."
    )
    logger.warning("history is empty beside run directories runs_directory=%s", runs)
    return sentence


def _unwritable(path: Path, failure: OSError) -> StoreUnavailable:
    hint = f"{failure.strerror}: make room or put the permissions right; the server tries again"
    return StoreUnavailable(str(path), hint=hint)


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


def _limits(settings: Settings) -> Limits:
    return Limits(
        total=settings.max_running_tasks, kinds=settings.kind_limits, keys=settings.key_limits
    )


def _hooks(settings: Settings, store: Store) -> HookBus:
    return HookBus(
        store,
        settings.state_directory / "hooks.json",
        webhook=Webhook(settings.webhook_secret),
        notifier=Notifications(settings.notifiers),
    )


def _load_kinds(settings: Settings, kernel_specs: KernelSpecs) -> dict[str, Kind]:
    found = entry_points(group="opspawn_jupyter.kinds")
    specs = RecentSpecs(kernel_specs)
    own = {entry.name: entry.load()(settings, specs) for entry in found}
    kinds = {**plugin_kinds(settings, specs), **own}
    for kind in kinds.values():
        if isinstance(kind, MeetsKinds):
            kind.meet(kinds)
    return kinds
