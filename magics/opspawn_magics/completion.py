"""Tab completion after ``%opspawn``: commands, options, notebooks, tools."""

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
    if command in ("tool", "tools"):
        return _tools(event.symbol)
    return _notebooks(event.symbol) if command in ("run", "params") else []


def _tools(beginning: str) -> list[str]:
    """Tools of the server that is named, or servers. Asks the Jupyter server; none where it does
    not answer, because a Tab is no place for an error."""
    from opspawn_jupyter.client.client import connect
    from opspawn_jupyter.errors import OpspawnError

    server, dot, _ = beginning.partition(".")
    try:
        with connect() as jupyter:
            if dot:
                names = [tool.full_name for tool in jupyter.tools(server).tools]
            else:
                names = [f"{one.name}." for one in jupyter.tool_servers().servers]
    except OpspawnError:
        return []
    return [name for name in names if name.startswith(beginning)]


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
