"""What server and worker say to each other.

The worker asks (``TakeRequest``) and the server answers when it has something (``TakeAnswer``).
The worker reports (``Report``); everything it reports may be repeated without harm.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

from opspawn_jupyter.model.agent_door import AgentDoor
from opspawn_jupyter.model.json_text import encoder
from opspawn_jupyter.model.policy import Policy
from opspawn_jupyter.model.question import Question
from opspawn_jupyter.model.states import EventType

_encode = encoder()
#: Environment variable of all that a worker starts: its id.
WORKER_VARIABLE = "OPSPAWN_WORKER_ID"
#: Environment variable of a task's kernel, and of all that its cells start: the task's id.
TASK_VARIABLE = "OPSPAWN_TASK_ID"
#: Environment variables of the kernel of a task that may use tools: its key to them, which ends
#: with the attempt, and the address of the server that takes it.
TASK_TOKEN_VARIABLE = "OPSPAWN_TASK_TOKEN"  # noqa: S105 (a name)
TASK_URL_VARIABLE = "OPSPAWN_TASK_URL"


#: So many tasks that share a process (``model.notebook.Tier.POOL``) count as one other.
POOLED_PER_SLOT = 64


@dataclass(frozen=True, kw_only=True)
class OutputLimits:
    """What of the cells' outputs is kept; the rest is left out, and the notebook says so."""

    #: Of one cell.
    cell_bytes: int = 10 << 20
    #: Of all cells together.
    notebook_bytes: int = 100 << 20
    #: How many outputs one cell may have: a browser suffers from their number as well.
    cell_outputs: int = 2_000


@dataclass(frozen=True, kw_only=True)
class Keeping:
    """How many kernels of failed runs stay, where that is asked for, and how long."""

    kernels: int = 2
    seconds: float = 1_800.0


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """One attempt of a task, handed to a worker."""

    task_id: str
    attempt: int
    kind: str
    name: str
    spec: Mapping[str, Any]
    policy: Policy
    #: Absolute path.
    run_directory: str
    #: Absolute path that the spec's relative paths start from.
    root_directory: str
    #: The task whose parts it may share a process with; itself where it is part of none.
    group: str = ""
    output_limits: OutputLimits = field(default_factory=OutputLimits)
    keeping: Keeping = field(default_factory=Keeping)
    #: What was asked for the task so far, with the answers: an attempt that needs one tells
    #: ``task.waiting`` with ``question``, its id, and ``asked``, the ``Question``; the next attempt
    #: finds the answer here.
    questions: tuple[Question, ...] = ()
    #: Variables for the task's kernel. They may hold its key: they are written nowhere.
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    #: Where an agent's loop asks for tasks, notes and shared budgets. Its kernel is not told.
    door: AgentDoor | None = None


@dataclass(frozen=True, kw_only=True)
class Grace:
    """How long a worker and its runners wait for a process before they take the next measure."""

    #: For a kernel to obey an interrupt.
    interrupt_seconds: float = 5.0
    #: For a process to end once it was asked to, before it is killed.
    terminate_seconds: float = 5.0
    #: For a kernel to start.
    kernel_start_seconds: float = 60.0


@dataclass(frozen=True, kw_only=True)
class TakeRequest:
    """A worker says what it holds and how much more it can take."""

    #: How many more tasks it can run now.
    free_slots: int
    #: Attempt by task id, of all that it is running or has not finished reporting.
    held: Mapping[str, int] = field(default_factory=dict)
    #: Tasks that it is already cancelling.
    cancelling: tuple[str, ...] = ()
    #: How long the server may keep the request open.
    wait_seconds: float = 20.0


@dataclass(frozen=True, kw_only=True)
class TakeAnswer:
    """What the worker is to do."""

    assignments: tuple[Assignment, ...] = ()
    #: Tasks to cancel.
    cancel: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ReportedEvent:
    """An event as its worker saw it."""

    type: EventType
    at: datetime
    data: Mapping[str, Any] = field(default_factory=dict)
    #: As ``Draft.number``; 0 for events that are not durable.
    number: int = 0

    @cached_property
    def text(self) -> str:
        """It as a JSON object, made once for all who write it down or send it on."""
        # Neither a type nor a time holds what JSON has an escape for.
        head = f'{{"type": "{self.type._value_}", "at": "{self.at.isoformat()}"'
        return f'{head}, "data": {_encode(self.data)}, "number": {self.number}}}'


@dataclass(frozen=True, kw_only=True)
class Report:
    """What happened on one attempt, in order."""

    task_id: str
    attempt: int
    events: tuple[ReportedEvent, ...]


@dataclass(frozen=True, kw_only=True)
class ReportRequest:
    """Reports on any number of attempts."""

    reports: tuple[Report, ...]


@dataclass(frozen=True, kw_only=True)
class ReportAnswer:
    """The server has all of it durably, save for what concerns ``unknown`` tasks."""

    #: Tasks or attempts that this server knows nothing of; the worker drops them.
    unknown: tuple[str, ...] = ()
