"""The notebook that an agent writes: cells found by the id of what they stand for."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import nbformat

from opspawn_jupyter.model import executed_notebook
from opspawn_jupyter.model.agent import Act, Ran
from opspawn_jupyter.model.states import CellState
from opspawn_jupyter.runners.saving import SavingManager

#: The notebook format's own tag: an error in this cell does not end a run of the notebook.
_ADDRESS = re.compile(r"0x[0-9a-f]{6,}")
RAISES = "raises-exception"


class AgentNotebook:
    """Adds cells at the end, and changes texts where they are."""

    def __init__(self, manager: SavingManager) -> None:
        self._manager = manager
        self._cells = manager.nb.cells

    def add(self, act: Act) -> tuple[Any, int]:
        """A code cell for the act, not run yet; the cell and its index."""
        cell = nbformat.v4.new_code_cell(act.source, id=act.cell_id)
        cell.metadata["tags"] = list(act.tags)
        self._append(cell)
        executed_notebook.set_state(cell, CellState.NOT_RUN, None)
        return cell, len(self._cells) - 1

    def write(self, cell_id: str, text: str, tags: Sequence[str]) -> None:
        """A text under this id, at the end where there is none yet."""
        cell = next((cell for cell in self._cells if cell.id == cell_id), None)
        if cell is None:
            cell = nbformat.v4.new_markdown_cell(text, id=cell_id)
            cell.metadata["tags"] = list(tags)
            self._append(cell)
            cell.metadata["papermill"]["status"] = "completed"
        cell.source = text
        self._manager.save()

    def _append(self, cell: Any) -> None:
        times = dict.fromkeys(("exception", "start_time", "end_time", "duration"))
        cell.metadata["papermill"] = {**times, "status": "pending"}
        self._cells.append(cell)
        self._manager.save()


class PaperBench:
    """A workbench without a kernel: everything is put down as it was recorded."""

    def __init__(self, manager: SavingManager) -> None:
        self._notebook = AgentNotebook(manager)
        self._count = 0

    async def run(self, act: Act, recorded: Sequence[Mapping[str, Any]] | None = None) -> Ran:
        """See ``ports.Workbench``."""
        cell, _ = self._notebook.add(act)
        settle(cell, recorded or ())
        has_failed = raised(cell.outputs)
        state = CellState.FAILED if has_failed else CellState.SUCCESS
        executed_notebook.set_state(cell, state, None)
        return Ran(outputs=tuple(recorded or ()), has_failed=has_failed)

    def write(self, cell_id: str, text: str, tags: Sequence[str] = ()) -> None:
        """See ``ports.Workbench``."""
        self._notebook.write(cell_id, text, tags)


def settle(cell: Any, outputs: Sequence[Mapping[str, Any]]) -> None:
    """Give the cell the outputs that it had when it was first run."""
    cell.outputs = [nbformat.from_dict(dict(output)) for output in outputs]
    counts = [output["execution_count"] for output in outputs if "execution_count" in output]
    if counts:
        cell.execution_count = counts[-1]
    if raised(outputs):
        tag_as_raising(cell)


def raised(outputs: Sequence[Mapping[str, Any]]) -> bool:
    """An error is among them."""
    return any(output["output_type"] == "error" for output in outputs)


def same(outputs: Sequence[Mapping[str, Any]], others: Sequence[Mapping[str, Any]]) -> bool:
    """They say the same, whatever they look like and however often the kernel was used before.
    An address in memory says nothing."""
    return _said(outputs) == _said(others)


def _said(outputs: Sequence[Mapping[str, Any]]) -> list[str]:
    said = []
    for output in outputs:
        text = output.get("text") or output.get("data", {}).get("text/plain", "")
        said.append(_ADDRESS.sub("0x", f"{output['output_type']} {text}"))
    return said


def tag_as_raising(cell: Any) -> None:
    """An error was seen and lived with; so will whoever runs the notebook again."""
    if RAISES not in cell.metadata["tags"]:
        cell.metadata["tags"].append(RAISES)
