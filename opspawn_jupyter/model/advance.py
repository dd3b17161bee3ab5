"""The task after an event: the one function that moves state.

``advance`` is pure. The store calls it under its lock before an event is written, so an event
that reaches the journal was legal in the state that it met; the client and the tests replay the
same function over the same events and come to the same task.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeAlias

from opspawn_jupyter.errors import IllegalTransition
from opspawn_jupyter.model import wire
from opspawn_jupyter.model.change import changed
from opspawn_jupyter.model.event import Draft, Event
from opspawn_jupyter.model.states import (
    FINAL,
    INTERRUPTED_CELL,
    TRANSITIONS,
    CellState,
    EventType,
    State,
)
from opspawn_jupyter.model.task import Cell, KeptKernel, Problem, Progress, Task

#: Fields of the task, with their new values.
_Changes: TypeAlias = dict[str, Any]


def advance(task: Task | None, event: Draft) -> Task:
    """The task as it stands after the event, whose ``seq`` it bears where the event has one.

    Raises ``IllegalTransition`` where the task's state forbids the event; the task is then
    unchanged. A submission is the only event that meets no task.
    """
    if event.type is EventType.SUBMITTED:
        return _submitted(task, event)
    if task is None:
        raise IllegalTransition(event.type.value, hint=f"there is no task {event.task_id}")
    changes = _changes(task, event)
    if isinstance(event, Event):
        changes["seq"] = event.seq
    return changed(task, **changes)


def _changes(task: Task, event: Draft) -> _Changes:
    if event.type.subject is not None:
        return {}  # about something that concerns the task, and does not move it
    if event.type is EventType.PRUNED:
        return _pruned(task, event)
    changes = _move(task, event)
    if change := _CHANGES.get(event.type):
        changes.update(change(task, event))
    return changes


def _submitted(task: Task | None, event: Draft) -> Task:
    if task is not None:
        raise IllegalTransition(event.type.value, hint=f"task {task.id} exists already")
    identity = {"id": event.task_id, "state": State.PENDING, "created_at": event.at.isoformat()}
    submitted = wire.decode(Task, {**event.data, **identity})
    return changed(submitted, seq=event.seq) if isinstance(event, Event) else submitted


def _pruned(task: Task, event: Draft) -> _Changes:
    """The only thing that can still happen to a task that has ended, and only once."""
    _require(task, event, FINAL)
    if task.pruned_at is not None:
        raise IllegalTransition(event.type.value, hint=f"task {task.id} was pruned before")
    return {"pruned_at": event.at}


def _move(task: Task, event: Draft) -> _Changes:
    changes = _reported(task, event) if event.number else {}
    transition = TRANSITIONS.get(event.type)
    if transition is None:
        _require(task, event, _SOURCES.get(event.type, _WHILE_RUNNING))
        return changes
    _require(task, event, transition.sources)
    goes_on = transition.target in (State.RETRYING, State.WAITING)
    if goes_on and task.cancel_requested:
        raise IllegalTransition(event.type.value, hint=f"task {task.id} is to be cancelled")
    changes["state"] = transition.target
    if transition.target in FINAL:
        changes.update(_finished(task, event, transition.target))
    return changes


_WHILE_RUNNING = frozenset({State.RUNNING})
#: Where an event that changes no state may come at another time, too.
_SOURCES: Mapping[EventType, frozenset[State]] = {
    # A worker that has the task may have begun without having told of it.
    EventType.CANCEL_REQUESTED: frozenset({State.QUEUED, State.RUNNING}),
}


def _reported(task: Task, event: Draft) -> _Changes:
    """Reports come in order, each once: a repeated, late or foreign one is refused here."""
    if event.type is EventType.STARTED:
        is_next = event.attempt == task.attempt + 1
    else:
        is_next = event.attempt == task.attempt and event.number > task.report_number
    if not is_next:
        raise IllegalTransition(event.type.value, hint="this report was taken before")
    return {"report_number": event.number}


def _require(task: Task, event: Draft, sources: frozenset[State]) -> None:
    if task.state not in sources:
        raise IllegalTransition(
            event.type.value,
            hint=f"task {task.id} is {task.state.value}",
            detail={"task_id": task.id, "state": task.state.value},
        )


def _finished(task: Task, event: Draft, outcome: State) -> _Changes:
    settled = _settled(task, outcome, event)
    return {**settled, "finished_at": event.at, "retry_at": None, "question": None}


def _settled(task: Task, outcome: State, event: Draft) -> _Changes:
    """An outcome also settles the cell that it caught at work. That of a small step brings all its
    cells and outputs along."""
    verdict = INTERRUPTED_CELL[outcome]
    cells = _cells(event) if "cells" in event.data else task.cells
    problem = event.data.get("error")
    return {
        "cells": tuple(
            changed(cell, state=verdict) if cell.state is CellState.RUNNING else cell
            for cell in cells
        ),
        "outputs": {**task.outputs, **event.data.get("outputs", {})},
        "error": wire.decode(Problem, problem) if problem else None,
    }


def _cells(event: Draft) -> tuple[Cell, ...]:
    return tuple(wire.decode(Cell, cell) for cell in event.data["cells"])


def _retrying(task: Task, event: Draft) -> _Changes:
    settled = _settled(task, State(event.data["outcome"]), event)
    return {**settled, "retry_at": datetime.fromisoformat(event.data["retry_at"])}


def _queued(_task: Task, _event: Draft) -> _Changes:
    return {"retry_at": None, "question": None}


def _waiting(task: Task, event: Draft) -> _Changes:
    return {"question": event.data.get("question"), "waits": task.waits + (event.attempt > 0)}


def _reused(_task: Task, event: Draft) -> _Changes:
    return {"reused_from": event.data["task_id"], "outputs": event.data["outputs"]}


def _started(_task: Task, event: Draft) -> _Changes:
    return {
        "attempt": event.attempt,
        "report_number": event.number,
        "worker": event.data.get("worker"),
        "started_at": event.at,
        "cells": (),
        "outputs": {},
        "progress": None,
        "error": None,
        "tier": event.data.get("tier"),
        "tier_reason": None,
        "kept_kernel": None,
    }


def _cancel_requested(_task: Task, _event: Draft) -> _Changes:
    return {"cancel_requested": True}


def _cells_planned(_task: Task, event: Draft) -> _Changes:
    return {"cells": _cells(event)}


def _cell_added(task: Task, event: Draft) -> _Changes:
    return {"cells": (*task.cells, wire.decode(Cell, event.data))}


def _cell_started(task: Task, event: Draft) -> _Changes:
    return _with_cell(task, event, {"state": CellState.RUNNING})


def _cell_finished(task: Task, event: Draft) -> _Changes:
    changes = {
        "state": CellState(event.data["state"]),
        "duration_seconds": event.data.get("duration_seconds"),
        "execution_count": event.data.get("execution_count"),
    }
    return _with_cell(task, event, changes)


def _with_cell(task: Task, event: Draft, changes: Mapping[str, Any]) -> _Changes:
    index = event.data["index"]
    cells = tuple(changed(cell, **changes) if cell.index == index else cell for cell in task.cells)
    return {"cells": cells}


def _kernel_started(_task: Task, event: Draft) -> _Changes:
    return {"tier": event.data.get("tier"), "tier_reason": event.data.get("tier_reason")}


def _kernel_kept(_task: Task, event: Draft) -> _Changes:
    return {"kept_kernel": wire.decode(KeptKernel, event.data)}


def _step_output(task: Task, event: Draft) -> _Changes:
    return {"outputs": {**task.outputs, event.data["name"]: event.data["value"]}}


def _step_progress(_task: Task, event: Draft) -> _Changes:
    return {"progress": wire.decode(Progress, event.data)}


_CHANGES: Mapping[EventType, Callable[[Task, Draft], _Changes]] = {
    EventType.QUEUED: _queued,
    EventType.RETRYING: _retrying,
    EventType.WAITING: _waiting,
    EventType.REUSED: _reused,
    EventType.STARTED: _started,
    EventType.CANCEL_REQUESTED: _cancel_requested,
    EventType.KERNEL_STARTED: _kernel_started,
    EventType.KERNEL_KEPT: _kernel_kept,
    EventType.CELLS_PLANNED: _cells_planned,
    EventType.CELL_ADDED: _cell_added,
    EventType.CELL_STARTED: _cell_started,
    EventType.CELL_FINISHED: _cell_finished,
    EventType.STEP_OUTPUT: _step_output,
    EventType.STEP_PROGRESS: _step_progress,
}
