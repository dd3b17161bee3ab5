"""A task: one unit of work with a kind, a spec, a policy and a state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar

from opspawn_jupyter.model.policy import STRICT, Policy
from opspawn_jupyter.model.states import CellState, State


@dataclass(frozen=True, kw_only=True)
class Submission:
    """What a caller asks for. ``spec`` is the kind's own; see ``NotebookRequest``."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    kind: str = "notebook"
    spec: Mapping[str, Any]
    #: For people; the notebook's file name where it is left out.
    name: str | None = None
    policy: Policy = field(default_factory=Policy)
    labels: Mapping[str, str] = field(default_factory=dict)
    #: A second submission with the same key gives the first one's task.
    idempotency_key: str | None = None
    #: Who is told when the task succeeds: addresses of webhooks, and names of notifiers that the
    #: server's settings know.
    on_success: tuple[str, ...] = ()
    #: Likewise when it ends without success, after the last retry.
    on_failure: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Cell:
    """What became of one code cell of the executed notebook."""

    #: Position in the executed notebook, from 0, counting the injected parameters cell and
    #: cells of every type, but not the markers that papermill adds after a failure.
    index: int
    state: CellState = CellState.NOT_RUN
    #: The notebook format's own cell id.
    id: str | None = None
    #: First line of the source, for display.
    title: str = ""
    duration_seconds: float | None = None
    execution_count: int | None = None


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a running notebook says that it is."""

    fraction: float | None = None
    text: str = ""


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Why a task did not succeed."""

    #: Class name of the exception, or the outcome for what is not an exception.
    name: str
    message: str
    #: Lines as IPython gives them, with ANSI colours.
    traceback: tuple[str, ...] = ()
    #: The cell that it happened in.
    cell_index: int | None = None
    #: The signal that ended the kernel or worker, where one did.
    signal: str | None = None


@dataclass(frozen=True, kw_only=True)
class KeptKernel:
    """The kernel of a failed run, left as the failure left it."""

    #: Under this id the Jupyter server lists it.
    id: str
    #: Absolute path, for clients on the worker's machine: ``jupyter console --existing FILE``.
    connection_file: str
    #: When it ends; earlier where somebody shuts it down, where newer ones take its place, and
    #: with its worker.
    expires_at: datetime


@dataclass(frozen=True, kw_only=True)
class Task:
    """A task as it stands after ``seq``."""

    id: str
    kind: str
    name: str
    state: State
    spec: Mapping[str, Any]
    policy: Policy = field(default_factory=Policy)
    labels: Mapping[str, str] = field(default_factory=dict)
    #: Relative to the server's root, with forward slashes.
    run_directory: str
    submitted_by: str = ""
    idempotency_key: str | None = None
    #: As in the submission.
    on_success: tuple[str, ...] = ()
    on_failure: tuple[str, ...] = ()
    #: Names of the files in the run directory that were pinned at submission.
    pinned: tuple[str, ...] = ()
    #: The task that somebody wanted to be tried again, as this one.
    retry_of: str | None = None
    #: The task that this one is a part of: the workflow of a step, the agent of a sub-task.
    parent_id: str | None = None
    #: Which step of its workflow it runs: the step's id, and for one item of a ``for_each`` the
    #: item's number from 0, as in ``train[2]``.
    step: str | None = None
    #: The task whose result it took over instead of running.
    reused_from: str | None = None
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    #: The try that is running or ran last, from 1; 0 before the first.
    attempt: int = 0
    #: How many of the attempts ended only to wait for an answer.
    waits: int = 0
    #: Id of the question that it waits for; only of a task that is waiting.
    question: str | None = None
    #: Number of the last report taken from this attempt's worker.
    report_number: int = 0
    cancel_requested: bool = False
    worker: str | None = None
    cells: tuple[Cell, ...] = ()
    #: Values that the notebook gave with ``step.output``, by name.
    outputs: Mapping[str, Any] = field(default_factory=dict)
    progress: Progress | None = None
    #: Why it did not succeed; while it is retrying or queued again, why the last attempt did not.
    error: Problem | None = None
    #: How its kernel was started: ``kernel`` (forked), ``cold``; None before there was one.
    tier: str | None = None
    #: Why it was not forked.
    tier_reason: str | None = None
    #: Where ``keep_on_failure`` was asked for and the run failed.
    kept_kernel: KeptKernel | None = None
    #: When the next attempt is due; only of a task that is retrying.
    retry_at: datetime | None = None
    #: When its run directory was removed, of a task that has none any more.
    pruned_at: datetime | None = None
    #: Sequence number of the last event about this task.
    seq: int = 0

    @property
    def duration_seconds(self) -> float | None:
        """Time from start to end, of a finished task."""
        if self.started_at is None or self.finished_at is None:
            return None
        return (self.finished_at - self.started_at).total_seconds()

    @property
    def due_at(self) -> datetime | None:
        """When it goes into the queue; None for a task that waits for no time."""
        if self.state is State.PENDING:
            return self.policy.not_before
        return self.retry_at if self.state is State.RETRYING else None

    @property
    def running_cell(self) -> Cell | None:
        """The cell at work."""
        return next((cell for cell in self.cells if cell.state is CellState.RUNNING), None)

    @property
    def cells_done(self) -> int:
        """How many code cells have ended, however they ended."""
        waiting = (CellState.NOT_RUN, CellState.RUNNING)
        return sum(cell.state not in waiting for cell in self.cells)


@dataclass(frozen=True, kw_only=True)
class TaskQuery:
    """Which tasks to list, in which order."""

    states: tuple[State, ...] = ()
    kind: str | None = None
    #: Tasks whose name begins so.
    name: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    #: Only the parts of this task.
    parent: str | None = None
    #: Only tasks that are no part of another one.
    is_top: bool = False
    #: Only dead letters: tasks that had retries, ended without success all the same, and were
    #: not tried again by hand.
    is_dead: bool = False
    #: Only tasks whose run directory was removed, or only those whose was not.
    pruned: bool | None = None
    #: One of ``SORT_FIELDS``, with ``-`` before it for descending order.
    sort: str = "-created_at"
    limit: int = 50
    #: ``next_cursor`` of the page before.
    cursor: str | None = None


SORT_FIELDS = ("created_at", "finished_at", "name", "state", "kind")


@dataclass(frozen=True, kw_only=True)
class TaskPage:
    """One page of a listing."""

    tasks: tuple[Task, ...]
    #: None on the last page.
    next_cursor: str | None = None
