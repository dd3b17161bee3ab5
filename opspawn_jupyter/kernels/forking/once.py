"""A cell of plain Python is looked through for IPython's own syntax once.

ipykernel has it done to learn in which way the cell is to be run, and IPython does it again when it
runs it; it takes as long as all messages about the cell.
"""

from __future__ import annotations

from typing import Any


class Once:
    """Stands in the place of a shell's ``transform_cell``."""

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._transform = shell.transform_cell
        self._usual = self._transformers()
        self._code: str | None = None
        self._made: str | None = None

    def expect(self, code: str) -> None:
        """This cell comes now."""
        self._code, self._made = code, None

    def __call__(self, raw_cell: str) -> str:
        """See IPython. The second time it gives what it gave before, where nothing was changed, so
        that nobody can tell: what rewrites a cell may say so, and the user's may count."""
        if raw_cell is not self._code or self._transformers() != self._usual:
            return str(self._transform(raw_cell))
        made, self._made = self._made, None
        if made is None:
            made = str(self._transform(raw_cell))
            self._made = made if made.rstrip() == raw_cell.rstrip() else None
        return made

    def _transformers(self) -> list[Any]:
        static = self._shell.input_transformer_manager
        return [
            *static.cleanup_transforms,
            *static.line_transforms,
            *static.token_transformers,
            *self._shell.input_transformers_post,
        ]


def install(shell: Any) -> None:
    """Let the shell do so, whose transformers are IPython's own so far."""
    shell.transform_cell = Once(shell)


def expect(shell: Any, code: str) -> None:
    """The shell is to run this cell."""
    transform = vars(shell).get("transform_cell")
    if isinstance(transform, Once):
        transform.expect(code)
