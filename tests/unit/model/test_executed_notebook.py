"""The cell states that are written into a notebook."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from opspawn_jupyter.model import executed_notebook
from opspawn_jupyter.model.states import CellState, State

AT = datetime(2026, 11, 20, tzinfo=UTC)


def cell(source: Any = "1", kind: str = "code", *tags: str) -> dict[str, Any]:
    return {"cell_type": kind, "source": source, "metadata": {"tags": list(tags)}}


def notebook(*cells: dict[str, Any]) -> dict[str, Any]:
    return {"cells": list(cells), "metadata": {}}


def states(made: dict[str, Any]) -> list[str]:
    return [cell["metadata"]["opspawn"]["state"] for _, cell in executed_notebook.code_cells(made)]


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (State.CRASHED, "crashed"),
        (State.CANCELLED, "cancelled"),
        (State.TIMED_OUT, "timed_out"),
    ],
)
def test_the_cell_in_flight_gets_the_outcome_and_later_ones_never_ran(
    outcome: State, expected: str
) -> None:
    """What the worker relies on after a runner's death."""
    made = notebook(cell(), cell("text", "markdown"), cell(), cell())

    executed_notebook.settle(made, {0: CellState.SUCCESS, 2: CellState.RUNNING}, outcome, AT)

    assert states(made) == ["success", expected, "not_run"]
    statuses = [made["cells"][n]["metadata"]["papermill"]["status"] for n in (0, 2, 3)]
    assert statuses == ["completed", "failed", "pending"]
    assert made["metadata"]["papermill"]["exception"] is True


def test_markers_of_a_failure_do_not_shift_the_cells() -> None:
    """A runner can die after it has put them in."""
    marker = cell("here", "markdown", executed_notebook.MARKER_TAG)
    made = notebook(marker, cell(), marker, cell())

    executed_notebook.settle(made, {0: CellState.SUCCESS, 1: CellState.FAILED}, State.CRASHED, AT)

    assert states(made) == ["success", "failed"]


def test_a_known_duration_is_kept() -> None:
    """The file may know more than the worker."""
    made = notebook(cell())
    executed_notebook.set_state(made["cells"][0], CellState.SUCCESS, 1.5)

    executed_notebook.settle(made, {0: CellState.SUCCESS}, State.CRASHED, AT)

    assert made["cells"][0]["metadata"]["opspawn"]["duration_seconds"] == 1.5


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (cell("1"), True),
        (cell("  \n"), False),
        (cell("1", "code", "skip-execution"), False),
        (cell("1", "code", "raises-exception"), True),
        (cell("text", "markdown"), False),
    ],
)
def test_what_runs_is_what_jupyter_execute_runs(one: dict[str, Any], expected: bool) -> None:
    """Anything else would be told as run, or wait for ever."""
    assert executed_notebook.runs(one) is expected


def test_the_plan_names_code_cells_by_their_first_line() -> None:
    """Listeners show it before anything has run."""
    made = notebook(cell("# Title", "markdown"), {**cell("\n  x = 1\ny"), "id": "abc"})

    assert executed_notebook.plan(made) == {"cells": [{"index": 1, "id": "abc", "title": "x = 1"}]}
