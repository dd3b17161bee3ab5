"""How the system is: what the server knows of itself, and what a check found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from opspawn_jupyter.model.health import Health


@dataclass(frozen=True, kw_only=True)
class StoreStatus:
    """How much a store keeps, and whether it can go on."""

    problem: str | None = None
    #: Seq of the last durable event.
    last_seq: int = 0
    #: Durable events that the history lacks as yet; the journal has them.
    waiting_events: int = 0
    #: When the history was written last; None before the first time since the start.
    written_at: datetime | None = None
    journal_segments: int = 0
    journal_bytes: int = 0
    database_bytes: int = 0


@dataclass(frozen=True, kw_only=True)
class WorkerStatus:
    """A worker process of this machine."""

    worker_id: str
    pid: int
    is_alive: bool
    #: Tasks that it is running.
    running_tasks: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class KernelStatus:
    """A kernel that is installed for the server."""

    name: str
    language: str = ""
    #: Why it cannot start; None where nothing speaks against it.
    problem: str | None = None
    #: How tasks start it: ``kernel`` (forked) or ``cold``.
    tier: str = "cold"
    #: Why it is not forked.
    tier_reason: str = ""


@dataclass(frozen=True, kw_only=True)
class ForkServerStatus:
    """A warm process of a worker, from which kernels are forked."""

    interpreter: str
    pid: int
    #: Kernels that came from it and live, and those that wait for a task.
    kernels: int = 0
    spares: int = 0
    #: Modules that its kernels find imported, of those that were asked for.
    preload: tuple[str, ...] = ()
    #: Why it does not fork; kernels start cold then.
    obstacle: str | None = None


@dataclass(frozen=True, kw_only=True)
class DirectoryUse:
    """What one run directory holds."""

    #: Relative to the server's root.
    path: str
    size_bytes: int


@dataclass(frozen=True, kw_only=True)
class DiskUse:
    """What run directories hold, and what the disk has left."""

    runs: int = 0
    runs_bytes: int = 0
    #: The largest, first.
    largest: tuple[DirectoryUse, ...] = ()
    #: Of the disk that the runs are on.
    free_bytes: int = 0
    total_bytes: int = 0
    #: Of the disk that journal and database are on.
    state_free_bytes: int = 0


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """What the server knows of itself, for somebody who looks for a fault."""

    health: Health
    #: Versions by package.
    versions: Mapping[str, str]
    #: Absolute paths; empty while the store is not open.
    root_directory: str = ""
    state_directory: str = ""
    runs_directory: str = ""
    #: None while the store is not open.
    store: StoreStatus | None = None
    #: How many tasks there are in each state that is not final.
    unfinished: Mapping[str, int] = field(default_factory=dict)
    workers: tuple[WorkerStatus, ...] = ()
    kernels: tuple[KernelStatus, ...] = ()
    fork_servers: tuple[ForkServerStatus, ...] = ()
    disk: DiskUse = field(default_factory=DiskUse)
    #: Run directories that belong to no task of the history.
    unknown_runs: int = 0


class Verdict(StrEnum):
    """What a check came to."""

    OK = "ok"
    #: Things work, but somebody should know.
    WARNING = "warning"
    #: Something does not work.
    PROBLEM = "problem"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One check of a report."""

    check: str
    verdict: Verdict
    message: str
    #: What to do about it; empty where there is nothing to do.
    advice: str = ""


@dataclass(frozen=True, kw_only=True)
class Report:
    """All that was checked, in order."""

    findings: tuple[Finding, ...]

    @property
    def verdict(self) -> Verdict:
        """The worst of all."""
        found = {finding.verdict for finding in self.findings}
        worst = [verdict for verdict in reversed(Verdict) if verdict in found]
        return worst[0] if worst else Verdict.OK
