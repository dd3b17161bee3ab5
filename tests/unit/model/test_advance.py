"""The one function that moves state."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from opspawn_jupyter.errors import IllegalTransition
from opspawn_jupyter.model import wire
from opspawn_jupyter.model.advance import advance
from opspawn_jupyter.model.event import Draft
from opspawn_jupyter.model.ids import new_id
from opspawn_jupyter.model.states import (
    OUTCOME_EVENTS,
    TRANSITIONS,
    CellState,
    EventType,
    State,
)
from opspawn_jupyter.model.task import Task

TASK_ID = new_id()


def draft(type: EventType, number: int = 0, attempt: int = 0, **data: object) -> Draft:
    return Draft(task_id=TASK_ID, type=type, data=data, number=number, attempt=attempt)


def submitted() -> Task:
    return advance(
        None,
        draft(
            EventType.SUBMITTED,
            kind="notebook",
            name="report",
            spec={},
            run_directory="opspawn_runs/report",
        ),
    )


def running() -> Task:
    queued = advance(submitted(), draft(EventType.QUEUED))
    return advance(queued, draft(EventType.STARTED, number=1, attempt=1, worker="w"))


def with_cells(task: Task) -> Task:
    planned = advance(
        task,
        draft(EventType.CELLS_PLANNED, number=2, attempt=1, cells=[{"index": 0}, {"index": 2}]),
    )
    return advance(planned, draft(EventType.CELL_STARTED, number=3, attempt=1, index=2))


def test_every_pair_of_state_and_event_is_legal_or_refused_as_the_table_says() -> None:
    """The table is the law: nothing outside it may move a task."""
    for state in State:
        for type, transition in TRANSITIONS.items():
            task = replace(running(), state=state, attempt=0)
            event = draft(
                type,
                outcome="failed",
                retry_at="2030-01-01T00:00:00+00:00",
                task_id=new_id(),
                outputs={},
            )

            if state in transition.sources and type is not EventType.STARTED:
                assert advance(task, event).state is transition.target
            elif state not in transition.sources:
                with pytest.raises(IllegalTransition):
                    advance(task, event)


def test_the_end_of_a_small_step_brings_its_cells_and_outputs_along() -> None:
    """It takes a millisecond: an event for each of them would take longer."""
    queued = advance(submitted(), draft(EventType.QUEUED))
    at_work = advance(queued, draft(EventType.STARTED, 1, 1, worker="w", kernel="p", tier="pool"))
    told = advance(at_work, draft(EventType.STEP_OUTPUT, 2, 1, name="rows", value=3))
    cells = [{"index": 0, "state": "success"}, {"index": 1, "state": "running"}]
    task = advance(told, draft(EventType.FAILED, 3, 1, cells=cells, outputs={"mean": 0.5}))

    assert (task.state, task.tier) == (State.FAILED, "pool")
    assert [cell.state for cell in task.cells] == [CellState.SUCCESS, CellState.FAILED]
    assert task.outputs == {"rows": 3, "mean": 0.5}


def test_final_states_have_no_way_out() -> None:
    """A late report must never overwrite an outcome."""
    sources = {state for transition in TRANSITIONS.values() for state in transition.sources}

    assert not any(state.is_final for state in sources)


def test_each_outcome_has_one_event_that_a_worker_reports() -> None:
    """Runners choose the event by the outcome."""
    assert set(OUTCOME_EVENTS) == {state for state in State if state.is_final} - {State.SKIPPED}
    assert OUTCOME_EVENTS[State.CANCELLED] is EventType.CANCELLED


def test_submission_makes_a_pending_task_from_its_data() -> None:
    """A task is what its events say, so that replaying them rebuilds it."""
    task = submitted()

    assert (task.id, task.state, task.name) == (TASK_ID, State.PENDING, "report")


def test_a_task_that_waits_for_an_answer_goes_on_with_another_attempt() -> None:
    """A question frees the worker, and what it costs in attempts is not taken off the retries."""
    waiting = advance(running(), draft(EventType.WAITING, number=2, attempt=1, question="q"))
    answered = advance(waiting, draft(EventType.QUEUED))

    assert (waiting.state, waiting.question, waiting.waits) == (State.WAITING, "q", 1)
    assert (answered.state, answered.question, answered.waits) == (State.QUEUED, None, 1)


def test_a_task_that_is_to_be_cancelled_asks_nothing_any_more() -> None:
    """Nobody would answer, and the cancellation would be lost."""
    cancelling = advance(running(), draft(EventType.CANCEL_REQUESTED, attempt=1))

    with pytest.raises(IllegalTransition):
        advance(cancelling, draft(EventType.WAITING, number=2, attempt=1))


def test_a_reused_result_is_a_success_that_names_where_it_comes_from() -> None:
    """Who looks at a step that took no time has to find the run that did the work."""
    earlier = new_id()

    task = advance(submitted(), draft(EventType.REUSED, task_id=earlier, outputs={"rows": 3}))

    assert (task.state, task.reused_from, task.outputs) == (State.SUCCESS, earlier, {"rows": 3})


def test_a_report_that_was_taken_before_is_refused() -> None:
    """Workers repeat reports after a broken connection; the second must not count."""
    task = with_cells(running())

    with pytest.raises(IllegalTransition):
        advance(task, draft(EventType.CELL_STARTED, number=3, attempt=1, index=2))


def test_a_report_of_another_attempt_is_refused() -> None:
    """A worker that was thought dead must not write into the next try."""
    with pytest.raises(IllegalTransition):
        advance(running(), draft(EventType.SUCCEEDED, number=9, attempt=2))


@pytest.mark.parametrize("outcome", list(OUTCOME_EVENTS))
def test_an_outcome_settles_the_running_cell_and_no_other(outcome: State) -> None:
    """A cell that never ran must say so, whatever ended the task."""
    task = advance(with_cells(running()), draft(OUTCOME_EVENTS[outcome], number=4, attempt=1))

    assert task.state is outcome
    assert [cell.state for cell in task.cells] == [CellState.NOT_RUN, CellState(outcome.value)]
    assert task.finished_at is not None


def retrying(task: Task) -> Task:
    data = {"outcome": "failed", "retry_at": "2030-01-01T00:00:00+00:00"}
    error = {"name": "E", "message": "m"}
    return advance(task, draft(EventType.RETRYING, number=4, attempt=1, error=error, **data))


def test_a_retrying_task_tells_of_its_last_attempt_until_the_next_one() -> None:
    """While it waits, people want to know why, and until when."""
    task = retrying(with_cells(running()))

    assert task.due_at == task.retry_at == datetime(2030, 1, 1, tzinfo=UTC)
    assert task.error is not None
    assert [cell.state for cell in task.cells] == [CellState.NOT_RUN, CellState.FAILED]
    assert task.finished_at is None

    queued = advance(task, draft(EventType.QUEUED))
    again = advance(queued, draft(EventType.STARTED, number=1, attempt=2, worker="v"))
    assert (again.state, again.attempt, again.report_number) == (State.RUNNING, 2, 1)
    assert (queued.due_at, again.error, again.cells) == (None, None, ())


def test_a_task_that_is_to_be_cancelled_is_not_retried() -> None:
    """Who cancels wants no more of it."""
    task = advance(running(), draft(EventType.CANCEL_REQUESTED, attempt=1))

    with pytest.raises(IllegalTransition):
        retrying(with_cells(task))


def test_a_cell_event_of_a_task_that_does_not_run_is_refused() -> None:
    """Only a running task has running cells."""
    with pytest.raises(IllegalTransition):
        advance(submitted(), draft(EventType.CELL_STARTED, index=0))


def test_step_outputs_and_progress_are_kept() -> None:
    """They are what result() and the progress bar show."""
    task = running()
    task = advance(task, draft(EventType.STEP_OUTPUT, number=2, attempt=1, name="rows", value=3))
    task = advance(
        task, draft(EventType.STEP_PROGRESS, number=3, attempt=1, fraction=0.5, text="half")
    )

    assert task.outputs == {"rows": 3}
    assert task.progress is not None
    assert task.progress.fraction == 0.5


def test_a_task_survives_the_wire() -> None:
    """Server, worker and client must see the same record."""
    task = advance(
        with_cells(running()),
        draft(EventType.FAILED, number=4, attempt=1, error={"name": "E", "message": "m"}),
    )

    assert wire.decode(Task, wire.encode(task)) == task
