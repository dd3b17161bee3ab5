"""How much output is kept. Cells can put out more than any memory, file or browser holds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import nbformat

from opspawn_jupyter.model.work import OutputLimits

#: A cell's result is kept beyond its limit up to this size: a noisy cell has a result, too.
RESULT_BYTES = 64 * 1024


@dataclass
class _Spent:
    """What one cell has put out."""

    kept_bytes: int = 0
    outputs: int = 0
    #: A text was cut: nothing that came after it may stand there as if it followed.
    is_cut: bool = False
    #: Size of each display that can be updated, by its id.
    displays: dict[str, int] = field(default_factory=dict)
    left_out_bytes: int = 0
    left_out_outputs: int = 0


class Budget:
    """Keeps account of the outputs of one run."""

    def __init__(self, limits: OutputLimits) -> None:
        self._limits = limits
        self._earlier_bytes = 0
        self._cell = _Spent()
        self._clears_next = False

    def begin(self) -> None:
        """The next cell runs from now."""
        self._earlier_bytes += self._cell.kept_bytes
        self._cell = _Spent()
        self._clears_next = False

    def clear(self) -> None:
        """The cell has taken back what it had put out."""
        self._cell = _Spent()
        self._clears_next = False

    def clear_next(self) -> None:
        """The cell takes back what it had put out with the next output."""
        self._clears_next = True

    @property
    def room(self) -> int:
        """How many bytes more may be kept."""
        if self._clears_next:
            return self._room_with(0)
        if self._cell.is_cut or self._cell.outputs >= self._limits.cell_outputs:
            return 0
        return self._room_with(self._cell.kept_bytes)

    def _room_with(self, kept: int) -> int:
        in_cell = self._limits.cell_bytes - kept
        in_notebook = self._limits.notebook_bytes - self._earlier_bytes - kept
        return max(0, min(in_cell, in_notebook))

    def keep_text(self, length: int, *, is_new: bool) -> int:
        """How much of a text is to be kept; the rest is to be cut."""
        kept = min(length, self.room)
        self._cell.kept_bytes += kept
        self._cell.outputs += is_new and kept > 0
        return kept

    def cut(self, size_bytes: int) -> None:
        """A text's end, of this size, was not kept: texts after it are not kept either."""
        self._cell.is_cut = True
        self.leave_out(size_bytes)

    def keep(self, size_bytes: int, display_id: str | None = None) -> bool:
        """Whether an output of this size is to be kept; else it counts as left out."""
        if size_bytes > self.room:
            self.leave_out(size_bytes)
            return False
        self._cell.kept_bytes += size_bytes
        self._cell.outputs += 1
        if display_id is not None:
            self._cell.displays[display_id] = size_bytes
        return True

    def update(self, size_bytes: int, display_id: str) -> bool:
        """Whether a display is to be replaced by one of this size."""
        before = self._cell.displays.get(display_id, 0)
        if size_bytes - before > self.room:
            self.leave_out(size_bytes)
            return False
        self._cell.kept_bytes += size_bytes - before
        self._cell.displays[display_id] = size_bytes
        return True

    def leave_out(self, size_bytes: int) -> None:
        """An output of this size was not kept."""
        self._cell.left_out_bytes += size_bytes
        self._cell.left_out_outputs += 1

    def mark(self) -> Any:
        """The output that stands for what is missing."""
        spent, limits = self._cell, self._limits
        facts = {
            "left_out_bytes": spent.left_out_bytes,
            "left_out_outputs": spent.left_out_outputs,
        }
        text = (
            f"[opspawn: {spent.left_out_bytes:,} bytes of output were left out, in "
            f"{spent.left_out_outputs:,} pieces, beginning here. Kept are {limits.cell_bytes:,} "
            f"bytes and {limits.cell_outputs:,} outputs of a cell, {limits.notebook_bytes:,} bytes "
            "of a notebook; the server's settings can change that.]"
        )
        return nbformat.v4.new_output(
            "display_data", data={"text/plain": text}, metadata={"opspawn": facts}
        )
