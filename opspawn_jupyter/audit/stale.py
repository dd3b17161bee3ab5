"""Outputs that are older than their code, told without running anything.

A notebook is held against an earlier version of itself. A cell whose code is another one and whose
outputs are the same, count included, was not run since; neither was one without a count among
cells that have theirs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any

from opspawn_jupyter.audit.comparison import code_cells
from opspawn_jupyter.audit.rules import tags_of

_OFF = frozenset({"nbval-skip", "audit-ignore"})

Cell = Mapping[str, Any]


def stale(now: Mapping[str, Any], before: Mapping[str, Any] | None) -> list[str]:
    """What is wrong with the notebook's outputs, as sentences; none where nothing is."""
    cells = {index: cell for index, cell in code_cells(now).items() if _counts(cell)}
    found = dict(_not_run(cells))
    if before is not None:
        old = [cell for cell in code_cells(before).values() if _counts(cell)]
        for index, cell, earlier in _changed(cells, old):
            if cell.get("outputs") and _shown(cell) == _shown(earlier):
                found.setdefault(index, "its code was changed, and it was not run since")
    sentences = [f"cell {index}: {said}" for index, said in sorted(found.items())]
    return [*sentences, *_out_of_order(cells)]


def _counts(cell: Cell) -> bool:
    return bool("".join(cell["source"]).strip()) and not _OFF & set(tags_of(cell))


def _not_run(cells: Mapping[int, Cell]) -> Iterator[tuple[int, str]]:
    """Cells that have never run, where others have."""
    if any(cell.get("execution_count") is not None for cell in cells.values()):
        for index, cell in cells.items():
            if cell.get("execution_count") is None:
                yield index, "it was never run, though others were"


def _changed(cells: Mapping[int, Cell], old: Sequence[Cell]) -> Iterator[tuple[int, Cell, Cell]]:
    """Cells with other code than before, each beside what it was."""
    by_id = {cell["id"]: cell for cell in old if "id" in cell}
    if by_id and all("id" in cell for cell in cells.values()):
        for index, cell in cells.items():
            earlier = by_id.get(cell["id"])
            if earlier is not None and _source(cell) != _source(earlier):
                yield index, cell, earlier
        return
    places = list(cells)
    matcher = SequenceMatcher(
        None, [_source(one) for one in old], [_source(cells[i]) for i in places], autojunk=False
    )
    for kind, start, end, from_, to in matcher.get_opcodes():
        if kind == "replace":
            for earlier, place in zip(old[start:end], places[from_:to], strict=False):
                yield place, cells[place], earlier


def _out_of_order(cells: Mapping[int, Cell]) -> Iterator[str]:
    counts = [cell.get("execution_count") for cell in cells.values()]
    given = [count for count in counts if count is not None]
    if given != sorted(given):
        yield "its cells were run in another order than they stand in"


def _source(cell: Cell) -> str:
    return "".join(cell["source"])


def _shown(cell: Cell) -> tuple[Any, Any]:
    return cell.get("execution_count"), cell.get("outputs")
