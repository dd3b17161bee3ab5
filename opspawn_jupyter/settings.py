"""How this installation is set up: read once by the server extension, handed down from there.

Precedence, strongest first: command line (``--OpspawnExtension.max_running_tasks=8``), Jupyter
configuration file, environment (``OPSPAWN_MAX_RUNNING_TASKS=8``), default.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All of it, with paths absolute."""

    #: Directory that the Jupyter server serves; no notebook outside it is run.
    root_directory: Path
    #: Where the journal and the database lie.
    state_directory: Path
    #: Where run directories are made.
    runs_directory: Path
    #: How many tasks the local worker runs at once.
    max_running_tasks: int = max(4, os.cpu_count() or 1)
    #: How many runner processes wait for a task, from soon after the server's start on.
    spare_runners: int = 2
    #: How long a cancelled or timed-out kernel gets to obey an interrupt.
    interrupt_grace_seconds: float = 5.0
    #: How long a process gets between being asked to end and being killed.
    terminate_grace_seconds: float = 5.0
    #: How long a kernel may take to start.
    kernel_start_timeout_seconds: float = 60.0
    #: Longest time of one SQL query.
    sql_timeout_seconds: float = 30.0
    #: Most rows that one SQL query gives.
    sql_max_rows: int = 10_000
    #: Largest notebook that is accepted.
    max_notebook_bytes: int = 256 * 1024 * 1024
    #: What is kept of one cell's output; what is beyond is left out, and the notebook says so.
    max_cell_output_bytes: int = 10 * 1024 * 1024
    #: What is kept of the outputs of all cells of a run.
    max_notebook_output_bytes: int = 100 * 1024 * 1024
    #: How many outputs of one cell are kept.
    max_cell_outputs: int = 2_000
    #: How many kernels of failed runs stay open, where that was asked for; the newest.
    kept_kernels: int = 2
    #: How long each of them stays.
    kept_kernel_seconds: float = 1_800.0
    #: How many tasks of a kind run at once, by kind; no limit for the others.
    kind_limits: Mapping[str, int] = field(default_factory=dict)
    #: How many tasks with the same concurrency key run at once, by key; one for the others.
    key_limits: Mapping[str, int] = field(default_factory=dict)
    #: So many bad ends of a kind's tasks in a row hold the kind; 0 never does.
    breaker_failures: int = 0
    #: All of them within this time.
    breaker_window_seconds: float = 300.0
    #: How long the kind is held before one task is tried.
    breaker_cooldown_seconds: float = 60.0
    #: Signs what is sent to webhooks; without one nothing is signed.
    webhook_secret: str = field(default="", repr=False)
    #: Addresses of notification services, as Apprise takes them, by the name that submissions use.
    notifiers: Mapping[str, str] = field(default_factory=dict, repr=False)
    #: Whether jupyter-scheduler's REST interface is served.
    serves_jobs: bool = True
    #: How long the run directory of a finished task is kept; 0: for ever.
    retention_days: float = 0.0
    #: How many finished tasks keep their run directory, the newest; 0: all.
    retention_max_tasks: int = 0
    #: How much run directories of finished tasks may hold together; 0: without limit.
    retention_max_bytes: int = 0
    #: Other limits by label (``name:value``): any of ``days``, ``max_tasks``, ``max_bytes``.
    retention_by_label: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    #: What agents may use together, by whose budget it is: see ``orchestrator/allowance.py``.
    agent_limits: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    #: Where heads of the history are left: files, addresses of webhooks, ``git:DIRECTORY``.
    anchors: tuple[str, ...] = ()
    #: How often.
    anchor_seconds: float = 3_600.0
    #: Who is told of runs, as OpenLineage events: a file, or an http(s) address; nobody if empty.
    openlineage: str = ""
    #: Namespace of the jobs in these events.
    openlineage_namespace: str = "opspawn"
    #: Bearer token for the address.
    openlineage_api_key: str = field(default="", repr=False)
    #: MCP servers by name, beside those in the configuration files, as ``mcpServers`` has them.
    mcp_servers: Mapping[str, Any] = field(default_factory=dict, repr=False)
    #: Where browsers reach this server; empty where that is not known.
    public_url: str = ""
