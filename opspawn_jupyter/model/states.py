"""The states of a task and of a cell, and the only table of transitions.

``model/advance.py`` applies it; nothing else changes a state.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """Where a task stands."""

    #: Accepted, not yet in the queue: its time has not come. Enters by submission; leaves to the
    #: queue, to waiting, to skipped, by cancellation, or as success where an earlier task's result
    #: is taken over.
    PENDING = "pending"
    #: Waits for a free worker. Enters from pending, retrying and waiting; leaves when a worker
    #: starts it, or by cancellation.
    QUEUED = "queued"
    #: A worker holds it, or the server itself where its kind needs no worker (a workflow). Enters
    #: from queued; leaves with an outcome, to retrying, or to waiting.
    RUNNING = "running"
    #: The attempt did not succeed and the policy allows another, whose time has not come. Enters
    #: from running; leaves to the queue, or by cancellation.
    RETRYING = "retrying"
    #: Needs a person's answer, or is an agent that waits for tasks which it has submitted, and
    #: holds no worker meanwhile. Enters from running, or from pending where somebody has to approve
    #: the start; leaves to the queue on the answer or when those tasks have ended, to skipped where
    #: the start is refused, or by cancellation.
    WAITING = "waiting"
    #: Every cell that had to run did. Final.
    SUCCESS = "success"
    #: The user's code raised. Final.
    FAILED = "failed"
    #: Our time limit ended it. Final.
    TIMED_OUT = "timed_out"
    #: Its kernel, worker or machine died. Final.
    CRASHED = "crashed"
    #: Somebody asked for its end. Final.
    CANCELLED = "cancelled"
    #: It was not to run: its condition is false, what it depends on did not succeed, or its start
    #: was refused. The error's message says which. Final.
    SKIPPED = "skipped"

    # Attributes, as with ``EventType``: to ask for them is most of what some loops do.
    #: Nothing moves a task out of this state.
    is_final: bool
    #: No worker has anything to do for the task any more, or until the next attempt.
    ends_attempt: bool


FINAL = frozenset(
    {
        State.SUCCESS,
        State.FAILED,
        State.TIMED_OUT,
        State.CRASHED,
        State.CANCELLED,
        State.SKIPPED,
    }
)
for _state in State:
    _state.is_final = _state in FINAL
    _state.ends_attempt = _state.is_final or _state is State.WAITING


class CellState(StrEnum):
    """What became of one code cell."""

    NOT_RUN = "not_run"
    RUNNING = "running"
    SUCCESS = "success"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    CRASHED = "crashed"
    CANCELLED = "cancelled"


class Subject(StrEnum):
    """What a record is about: things with a state of their own that are no tasks. The types of
    events about one begin with its name."""

    #: Something that a person is to decide.
    QUESTION = "question"
    #: A rule that submits tasks.
    SCHEDULE = "schedule"
    #: What became of a due time of a schedule.
    FIRING = "firing"
    #: A tool that was called through the server.
    TOOL_CALL = "tool_call"
    #: Something that an agent wrote down for later.
    NOTE = "note"
    #: What a person signed under an audit.
    SIGNATURE = "signature"


_NAMED: Mapping[str, Subject] = {subject.value: subject for subject in Subject}


class EventType(StrEnum):
    """What can be said about a task or a record. ``data`` of each is listed in
    docs/reference/events.md."""

    SUBMITTED = "task.submitted"
    QUEUED = "task.queued"
    STARTED = "task.started"
    RETRYING = "task.retrying"
    WAITING = "task.waiting"
    CANCEL_REQUESTED = "task.cancel_requested"
    SUCCEEDED = "task.succeeded"
    FAILED = "task.failed"
    TIMED_OUT = "task.timed_out"
    CRASHED = "task.crashed"
    CANCELLED = "task.cancelled"
    WITHDRAWN = "task.withdrawn"
    SKIPPED = "task.skipped"
    #: The result of an earlier task is its own: the step cache had it.
    REUSED = "task.reused"
    #: Its run directory was removed; the task stays in the history.
    PRUNED = "task.pruned"
    KERNEL_STARTED = "kernel.started"
    #: The kernel of a run that failed stays for a while, to be looked into.
    KERNEL_KEPT = "kernel.kept"
    CELLS_PLANNED = "cells.planned"
    #: A notebook that writes itself has one code cell more, at its end.
    CELL_ADDED = "cell.added"
    CELL_STARTED = "cell.started"
    CELL_OUTPUT = "cell.output"
    CELL_FINISHED = "cell.finished"
    STEP_OUTPUT = "step.output"
    STEP_PROGRESS = "step.progress"
    STEP_LOG = "step.log"
    #: An agent was answered by a model.
    MODEL_REPLIED = "model.replied"
    #: An agent has used a tool.
    AGENT_CALLED = "agent.called"
    QUESTION_ASKED = "question.asked"
    QUESTION_ANSWERED = "question.answered"
    #: Nobody waits for its answer any more.
    QUESTION_WITHDRAWN = "question.withdrawn"
    #: Somebody signed an audit's report.
    SIGNATURE_GIVEN = "signature.given"
    #: A call of a tool has ended, however it ended.
    TOOL_CALLED = "tool_call.ended"
    NOTE_WRITTEN = "note.written"
    NOTE_FORGOTTEN = "note.forgotten"
    SCHEDULE_CREATED = "schedule.created"
    #: Its plan is another one.
    SCHEDULE_EDITED = "schedule.edited"
    SCHEDULE_PAUSED = "schedule.paused"
    SCHEDULE_RESUMED = "schedule.resumed"
    #: Due times were accounted for, or a task of it has ended.
    SCHEDULE_ADVANCED = "schedule.advanced"
    #: The clock was set back, so due times come again; none of them gets a second task.
    SCHEDULE_REWOUND = "schedule.rewound"
    SCHEDULE_DELETED = "schedule.deleted"
    #: A task was submitted for a due time, or because something else started it.
    FIRING_SUBMITTED = "firing.submitted"
    #: There is no task for one or several due times, and why.
    FIRING_PASSED = "firing.passed"

    #: What the event is about; None for one about a task, its kernel and its cells.
    subject: Subject | None
    #: The event is journalled. A cell's output is not: it lies in the executed notebook, and the
    #: event only shows it early to whoever is listening.
    is_durable: bool

    def __init__(self, value: str) -> None:
        self.subject = _NAMED.get(value.partition(".")[0])
        self.is_durable = value != "cell.output"


@dataclass(frozen=True)
class Transition:
    """A change of state: legal from ``sources``, leading to ``target``."""

    sources: frozenset[State]
    target: State


def _from(*sources: State, to: State) -> Transition:
    return Transition(frozenset(sources), to)


TRANSITIONS: Mapping[EventType, Transition] = {
    EventType.QUEUED: _from(State.PENDING, State.RETRYING, State.WAITING, to=State.QUEUED),
    EventType.STARTED: _from(State.QUEUED, to=State.RUNNING),
    # What a worker reports as an outcome is stored as this where the task goes on, so that an
    # outcome's event always means the end of the task. It says in ``data`` which outcome it was.
    EventType.RETRYING: _from(State.RUNNING, to=State.RETRYING),
    # Ends the attempt, though not the task: the answer queues it for the next one, which the
    # limit of retries does not count.
    EventType.WAITING: _from(State.PENDING, State.RUNNING, to=State.WAITING),
    EventType.SUCCEEDED: _from(State.RUNNING, to=State.SUCCESS),
    EventType.FAILED: _from(State.RUNNING, to=State.FAILED),
    EventType.TIMED_OUT: _from(State.RUNNING, to=State.TIMED_OUT),
    EventType.CRASHED: _from(State.RUNNING, to=State.CRASHED),
    EventType.CANCELLED: _from(State.RUNNING, to=State.CANCELLED),
    # Its own event, so that the server can never end a task that a worker has just started.
    EventType.WITHDRAWN: _from(
        State.PENDING, State.QUEUED, State.RETRYING, State.WAITING, to=State.CANCELLED
    ),
    EventType.SKIPPED: _from(State.PENDING, State.WAITING, to=State.SKIPPED),
    EventType.REUSED: _from(State.PENDING, to=State.SUCCESS),
}

#: The event by which a worker reports each outcome.
OUTCOME_EVENTS: Mapping[State, EventType] = {
    transition.target: event
    for event, transition in TRANSITIONS.items()
    if transition.target in FINAL and State.RUNNING in transition.sources
}

#: Events after which nothing moves the task any more.
ENDS: frozenset[EventType] = frozenset(
    event for event, transition in TRANSITIONS.items() if transition.target in FINAL
)

#: What an outcome makes of the cell that was running when it came.
INTERRUPTED_CELL: Mapping[State, CellState] = {
    State.SUCCESS: CellState.SUCCESS,
    State.FAILED: CellState.FAILED,
    State.TIMED_OUT: CellState.TIMED_OUT,
    State.CRASHED: CellState.CRASHED,
    State.CANCELLED: CellState.CANCELLED,
    State.SKIPPED: CellState.NOT_RUN,
}
