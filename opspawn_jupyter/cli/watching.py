"""A task watched from a shell: a bar on a terminal, plain lines in a pipe."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol, TextIO

from opspawn_jupyter.client.handle import TaskHandle
from opspawn_jupyter.client.task_text import due_line, progress_line, without_colour
from opspawn_jupyter.model.advance import advance
from opspawn_jupyter.model.event import Event
from opspawn_jupyter.model.states import EventType
from opspawn_jupyter.model.task import Task


def watch(handle: TaskHandle, out: TextIO) -> None:
    """Show how the task gets on and what its cells print, until it has ended."""
    shown: Task | None = None
    with _screen(handle.name, out) as screen:
        for event in handle.follow():
            # The task as it stood at this event: the handle may know more by then.
            if event.type.is_durable:
                shown = advance(shown, event)
            if shown is not None:
                _show(screen, event, shown)


class Screen(Protocol):
    """What a task is shown on."""

    def write(self, text: str) -> None:
        """Called for each piece that a cell prints; it may end within a line."""

    def at(self, task: Task) -> None:
        """Called when a cell begins or ends, and when the notebook says how far it is."""


class PlainScreen:
    """Lines of text, for a pipe or a file."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._line_is_open = False
        self._last = ""

    def write(self, text: str) -> None:
        """What a cell prints, as it is."""
        self._out.write(text)
        self._out.flush()
        self._line_is_open = not text.endswith("\n")

    def at(self, task: Task) -> None:
        """A line for each step forward."""
        line = _place(task)
        if not line or line == self._last:
            return
        self._last = line
        if self._line_is_open:
            self.write("\n")
        self.write(f"{line}\n")


@contextmanager
def _screen(name: str, out: TextIO) -> Iterator[Screen]:
    if not out.isatty():
        yield PlainScreen(out)
        return
    # Only a terminal needs rich, which takes a while to import.
    from opspawn_jupyter.cli.terminal import terminal_screen

    with terminal_screen(name, out) as screen:
        yield screen


def _show(screen: Screen, event: Event, task: Task) -> None:
    match event.type:
        case EventType.CELL_OUTPUT:
            screen.write(_printed(event.data))
        case EventType.STEP_LOG:
            screen.write(f"{event.data['text']}\n")
        case EventType.RETRYING:
            screen.write(f"{due_line(task)}\n")
        case EventType.CELL_STARTED | EventType.CELL_FINISHED | EventType.STEP_PROGRESS:
            screen.at(task)


def _place(task: Task) -> str:
    """``[2/5] Load the data``, and what the notebook says about itself; of what has no cells, as
    a workflow, only that."""
    cell = task.running_cell
    if cell is None:
        return "" if task.cells else progress_line(task)
    line = f"[{task.cells.index(cell) + 1}/{len(task.cells)}] {cell.title}"
    return " · ".join(part for part in (line, progress_line(task)) if part)


def _printed(data: Mapping[str, Any]) -> str:
    """What a shell shows of a cell's output; nothing for what has no text."""
    output = data.get("output")
    if output is None:
        return ""
    kind = output["output_type"]
    if kind == "stream":
        return _joined(output["text"])
    if kind == "error":
        return without_colour("\n".join([*output["traceback"], ""]))
    text = _joined(output["data"].get("text/plain", ""))
    return f"{text}\n" if text else ""


def _joined(text: str | list[str]) -> str:
    return text if isinstance(text, str) else "".join(text)
