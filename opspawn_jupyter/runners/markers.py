"""papermill's two cells that lead a reader of a failed notebook to the failure.

papermill's own function takes any error output for a failure, also one that a cell tagged
``raises-exception`` was meant to show; so only its texts are used.
"""

from __future__ import annotations

from typing import Any

import nbformat
from papermill.execute import ERROR_ANCHOR_MSG, ERROR_MARKER_TAG, ERROR_MESSAGE_TEMPLATE

from opspawn_jupyter.model.task import Problem


def add(notebook: Any, problem: Problem | None) -> None:
    """Put one cell at the top and one before the cell that failed."""
    if problem is None or problem.cell_index is None:
        return
    failed = notebook.cells[problem.cell_index]
    notebook.cells.insert(problem.cell_index, _marker(ERROR_ANCHOR_MSG))
    notebook.cells.insert(0, _marker(ERROR_MESSAGE_TEMPLATE % failed.execution_count))


def _marker(text: str) -> Any:
    cell = nbformat.v4.new_markdown_cell(text)
    cell.metadata["tags"] = [ERROR_MARKER_TAG]
    return cell
