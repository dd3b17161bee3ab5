"""Tab completion after ``%opspawn``: commands, options, notebooks."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def complete(shell: Any, event: Any) -> list[str]:  # noqa: ARG001 (as IPython calls it)
    """What may come next. IPython calls it for each Tab on a line that begins with the magic."""
    from opspawn_jupyter.client.grammar import command_names, option_names
    from opspawn_jupyter.client.parser import Surface

    surface = Surface.CELL if event.line.lstrip().startswith("%%") else Surface.LINE
    before = event.line[: len(event.line) - len(event.symbol)].split()
    if len(before) <= 1:
        return [name for name in command_names(surface) if name.startswith(event.symbol)]
    command = before[1]
    if command not in command_names(surface):
        return []
    if event.symbol.startswith("-"):
        options = option_names(command, surface)
        return [name for name in options if name.startswith(event.symbol)]
    return _notebooks(event.symbol) if command in ("run", "params") else []


def _notebooks(beginning: str) -> list[str]:
    """Notebooks and directories whose path begins so."""
    folder = beginning.rpartition("/")[0]
    found = sorted(Path(folder or ".").expanduser().glob("[!.]*"))
    names = (f"{folder}/{path.name}" if folder else path.name for path in found)
    shown = [
        f"{name}/" if path.is_dir() else name
        for name, path in zip(names, found, strict=True)
        if path.is_dir() or path.suffix == ".ipynb"
    ]
    return [name for name in shown if name.startswith(beginning)]
