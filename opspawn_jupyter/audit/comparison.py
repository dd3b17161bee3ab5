"""Two or three versions of one notebook compared, cell by cell."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from opspawn_jupyter.audit import cells, outputs
from opspawn_jupyter.audit.outputs import Piece
from opspawn_jupyter.audit.rules import Rules, cell_rules, exemption_of
from opspawn_jupyter.model import executed_notebook
from opspawn_jupyter.model.audit import CellVerdict, Part, Sameness
from opspawn_jupyter.model.states import CellState

Notebook = Mapping[str, Any]
_HELP_ASKED = re.compile(r"^\s*(?:\?{1,2}[\w.%*]+|[\w.%*]+\?{1,2})\s*\Z", re.MULTILINE)
_HELP = Part(
    kind="text/plain",
    sameness=Sameness.NOT_COMPARED,
    notes=("help, which a page shows and an execution does not keep",),
)


@dataclass(frozen=True, kw_only=True)
class Executions:
    """The runs that are compared. All stand on the same cells in the same order."""

    #: As it was stored.
    stored: Notebook
    control: Notebook
    #: The same in other surroundings; None where it was not made.
    perturbed: Notebook | None = None


def compare(executions: Executions, rules: Rules) -> tuple[CellVerdict, ...]:
    """What became of each code cell that has something to run."""
    stored = code_cells(executions.stored)
    control = code_cells(executions.control)
    again = code_cells(executions.perturbed) if executions.perturbed is not None else {}
    widgets = [
        outputs.widget_states(one) if one else {}
        for one in (executions.stored, executions.control, executions.perturbed)
    ]
    return tuple(
        _Cell(index, cell, control.get(index), again.get(index), widgets).verdict(rules)
        for index, cell in stored.items()
        if executed_notebook.runs({**cell, "source": "".join(cell["source"])})
    )


def has_stored_outputs(notebook: Notebook) -> bool:
    """Whether the notebook keeps anything that can be compared."""
    return any(cell.get("outputs") for cell in code_cells(notebook).values())


def code_cells(notebook: Notebook) -> dict[int, Any]:
    """Code cells by position."""
    cells_of = ({**cell, "metadata": cell.get("metadata", {})} for cell in notebook["cells"])
    return dict(executed_notebook.code_cells({"cells": list(cells_of)}))


@dataclass(frozen=True)
class _Cell:
    index: int
    stored: Mapping[str, Any]
    control: Mapping[str, Any] | None
    again: Mapping[str, Any] | None
    widgets: Sequence[Mapping[str, Any]]

    def verdict(self, rules: Rules) -> CellVerdict:
        """What became of it."""
        own = cell_rules(rules, self.stored)
        title = executed_notebook.title("".join(self.stored["source"]))
        exemption = exemption_of(rules, self.index, self.stored)
        has_run = _has_run(self.control)
        if not has_run:
            return CellVerdict(index=self.index, title=title, has_run=False, exemption=exemption)
        again = self._between_runs(own)
        parts = self._against_stored(own, again)
        return CellVerdict(
            index=self.index,
            title=title,
            has_run=True,
            stored=None if parts is None else _judged(parts, exemption),
            parts=parts or (),
            again=None if again is None else _judged(again, exemption),
            again_parts=again or (),
            exemption=exemption,
        )

    def _between_runs(self, rules: Rules) -> tuple[Part, ...] | None:
        if not _has_run(self.again):
            return None
        return cells.compare(self._pieces(1), self._pieces(2), rules)

    def _against_stored(
        self, rules: Rules, again: tuple[Part, ...] | None
    ) -> tuple[Part, ...] | None:
        """None where the notebook was stored without having run this cell."""
        if not self.stored.get("outputs") and self.stored.get("execution_count") is None:
            return None
        if self._only_asks_for_help():
            return (_HELP,)
        parts = cells.compare(self._pieces(0), self._pieces(1), rules)
        return cells.calibrated(parts, again) if again is not None else parts

    def _only_asks_for_help(self) -> bool:
        """JupyterLab keeps what ``name?`` shows with the outputs; to an execution it is none."""
        asked = _HELP_ASKED.search("".join(self.stored["source"]))
        kinds = {piece.kind for piece in self._pieces(0)}
        return bool(asked) and kinds == {"text/plain"} and not self._pieces(1)

    def _pieces(self, which: int) -> list[Piece]:
        cell = (self.stored, self.control, self.again)[which] or {}
        return outputs.pieces(cell.get("outputs", []), self.widgets[which])


def _judged(parts: Sequence[Part], exemption: str) -> Sameness:
    return Sameness.NOT_COMPARED if exemption else cells.sum_of(parts)


def _has_run(cell: Mapping[str, Any] | None) -> bool:
    if cell is None:
        return False
    state = cell.get("metadata", {}).get("opspawn", {}).get("state")
    return bool(state == CellState.SUCCESS)
