"""The magic itself: a line or a cell in, an object that shows itself out."""

from __future__ import annotations

import shlex
from typing import Any

from IPython.core.magic import Magics, line_cell_magic, magics_class, no_var_expand

from opspawn_jupyter.errors import OpspawnError, UsageError
from opspawn_magics.brief import brief
from opspawn_magics.variables import expand


@magics_class
class OpspawnMagics(Magics):
    """``%opspawn COMMAND …`` and ``%%opspawn run`` or ``%%opspawn sql`` over a cell."""

    # IPython would take the braces of a JSON parameter for a variable; see variables.py.
    @no_var_expand
    @line_cell_magic
    def opspawn(self, line: str, cell: str | None = None) -> Any:
        """Run notebooks in the background; ``%opspawn --help`` shows the commands."""
        # Everything that talks to the server is imported by the first command, not by loading.
        from opspawn_magics.dispatch import perform

        try:
            namespace = self.shell.user_ns if self.shell else {}
            return perform(expand(_split(line), namespace), cell)
        except (OpspawnError, KeyboardInterrupt) as problem:
            raise brief(problem) from None


def _split(line: str) -> list[str]:
    command, _, rest = line.strip().partition(" ")
    rest = rest.strip()
    if command == "sql" and rest and rest[0] not in "-\"'":
        return [command, rest]  # the quotes in it are SQL's own
    try:
        return shlex.split(line)
    except ValueError as problem:
        raise UsageError(line, hint=str(problem)) from problem
