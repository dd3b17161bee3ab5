"""The bar on a terminal: cells done, the cell at work, the time so far. Needs rich."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from opspawn_jupyter.client.task_text import progress_line
from opspawn_jupyter.model.task import Task


@contextmanager
def terminal_screen(name: str, out: TextIO) -> Iterator[TerminalScreen]:
    """A screen whose last line is the bar while the context holds."""
    columns = (
        TextColumn("{task.fields[name]}", markup=False),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}", markup=False),
    )
    with Progress(*columns, console=Console(file=out), transient=True) as progress:
        screen = TerminalScreen(progress, name)
        yield screen
        screen.flush()


class TerminalScreen:
    """Prints above the bar."""

    def __init__(self, progress: Progress, name: str) -> None:
        self._progress = progress
        self._bar = progress.add_task("waiting for a worker", total=None, name=name)
        self._open_line = ""

    def write(self, text: str) -> None:
        """What a cell prints, line by line: the bar stands where an open line would."""
        *lines, self._open_line = (self._open_line + text).split("\n")
        for line in lines:
            self._print(line)

    def at(self, task: Task) -> None:
        """Move the bar."""
        self.flush()
        cell = task.running_cell
        words = [cell.title if cell else "", progress_line(task)]
        self._progress.update(
            self._bar,
            completed=task.cells_done,
            total=len(task.cells) or None,
            description=" · ".join(word for word in words if word),
        )

    def flush(self) -> None:
        """Print what is left of an open line."""
        if self._open_line:
            self._print(self._open_line)
            self._open_line = ""

    def _print(self, line: str) -> None:
        # A progress bar inside the notebook rewrites its line; the last state of it is shown.
        shown = line.removesuffix("\r").rpartition("\r")[2]
        self._progress.console.print(Text.from_ansi(shown), soft_wrap=True)
