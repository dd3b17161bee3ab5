"""What became of each cell, written into the notebook itself.

Ours is ``metadata.opspawn`` of each code cell: ``{"state", "duration_seconds"}``. papermill's own
status is corrected to it, because papermill calls a cell that never ran "completed" once the
notebook ends, and one that ran into a limit or a dead kernel as well. Works on the notebook
format's JSON alone: whoever outlives a runner uses it on the file that the runner left.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from opspawn_jupyter import files
from opspawn_jupyter.model.states import INTERRUPTED_CELL, CellState, State
from opspawn_jupyter.model.task import Task

#: Tag of the cells that papermill, and we, put in to lead a reader to the failure.
MARKER_TAG = "papermill-error-cell-tag"
SKIP_TAG = "skip-execution"

_PAPERMILL_STATUS: Mapping[CellState, str] = {
    CellState.NOT_RUN: "pending",
    CellState.RUNNING: "running",
    CellState.SUCCESS: "completed",
}
_TITLE_LENGTH = 80


def own_cells(notebook: Mapping[str, Any]) -> Iterator[tuple[int, Any]]:
    """Cells (any mapping will do) with their index as events count it: markers left out."""
    cells = (cell for cell in notebook["cells"] if MARKER_TAG not in _tags(cell))
    yield from enumerate(cells)


def code_cells(notebook: Mapping[str, Any]) -> Iterator[tuple[int, Any]]:
    """Code cells with their index."""
    return ((index, cell) for index, cell in own_cells(notebook) if cell["cell_type"] == "code")


def is_skipped(cell: Mapping[str, Any]) -> bool:
    """A tag says that the cell must not run."""
    return SKIP_TAG in _tags(cell)


def runs(cell: Mapping[str, Any]) -> bool:
    """The cell is one that `jupyter execute` would run."""
    return bool(cell["cell_type"] == "code" and cell["source"].strip()) and not is_skipped(cell)


def plan(notebook: Mapping[str, Any]) -> dict[str, Any]:
    """``data`` of ``cells.planned``."""
    cells = [
        {"index": index, "id": cell.get("id"), "title": title(cell["source"])}
        for index, cell in code_cells(notebook)
    ]
    return {"cells": cells}


def title(source: str) -> str:
    """The first line that says something."""
    return next((line.strip() for line in source.splitlines() if line.strip()), "")[:_TITLE_LENGTH]


def set_state(cell: dict[str, Any], state: CellState, duration_seconds: float | None) -> None:
    """Write down what became of a code cell."""
    metadata = cell["metadata"]
    metadata["opspawn"] = {"state": state.value, "duration_seconds": duration_seconds}
    papermill = metadata.setdefault("papermill", {})
    papermill["status"] = _PAPERMILL_STATUS.get(state, "failed")
    if state is not CellState.NOT_RUN:
        papermill["exception"] = state not in (CellState.RUNNING, CellState.SUCCESS)


def settle(
    notebook: dict[str, Any], known: Mapping[int, CellState], outcome: State, at: datetime
) -> None:
    """Give every code cell its last state, in a notebook whose runner could not do so.

    ``known`` are the states by index that the runner had told; the cell that it left running
    gets the outcome's. What the notebook says of a cell's duration is kept.
    """
    for index, cell in code_cells(notebook):
        state = known.get(index, CellState.NOT_RUN)
        if state is CellState.RUNNING:
            state = INTERRUPTED_CELL[outcome]
        duration = cell["metadata"].get("opspawn", {}).get("duration_seconds")
        set_state(cell, state, duration)
    papermill = notebook["metadata"].setdefault("papermill", {})
    papermill["exception"] = outcome is not State.SUCCESS or None
    papermill["end_time"] = papermill.get("end_time") or at.isoformat()


def settle_file(path: Path, task: Task, outcome: State, at: datetime) -> None:
    """Settle the notebook that a runner left at the path; nothing where it never saved one.

    Raises ``OSError`` or ``ValueError`` where that cannot be read or written.
    """
    try:
        notebook = json.loads(path.read_bytes())
    except FileNotFoundError:
        return
    settle(notebook, {cell.index: cell.state for cell in task.cells}, outcome, at)
    files.write_atomic(path, json.dumps(notebook, indent=1).encode() + b"\n")


def _tags(cell: Mapping[str, Any]) -> list[str]:
    tags: list[str] = cell["metadata"].get("tags", [])
    return tags
