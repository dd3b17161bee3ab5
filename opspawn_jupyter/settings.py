"""How this installation is set up: read once by the server extension, handed down from there.

Precedence, strongest first: command line (``--OpspawnExtension.max_running_tasks=8``), Jupyter
configuration file, environment (``OPSPAWN_MAX_RUNNING_TASKS=8``), default.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


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
