"""``--wait``: what the background cells give comes into this cell while they run."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, TextIO

from opspawn_jupyter.client.handle import TaskHandle
from opspawn_jupyter.client.task_text import due_line
from opspawn_jupyter.model.event import Event
from opspawn_jupyter.model.ids import short
from opspawn_jupyter.model.states import EventType
from opspawn_magics.ipython import clear_output, display


def watch(handle: TaskHandle) -> None:
    """Show a task's outputs as they come, until it has ended.

    Ctrl-C ends the wait and not the task: ``KeyboardInterrupt`` then says so.
    """
    screen = _Screen(handle.id)
    try:
        for event in handle.follow():
            screen.show(event)
            if event.type is EventType.RETRYING:
                _write(sys.stderr, f"{due_line(handle.task)}\n")
    except KeyboardInterrupt:
        message = f"no longer waiting; task {short(handle.id)} goes on"
        raise KeyboardInterrupt(message) from None


class _Screen:
    def __init__(self, task_id: str) -> None:
        self._prefix = task_id
        self._known: set[str] = set()

    def show(self, event: Event) -> None:
        if event.type is EventType.STEP_LOG:
            _write(sys.stdout, f"{event.data['text']}\n")
        elif event.type is not EventType.CELL_OUTPUT:
            return
        elif event.data.get("clear"):
            clear_output()
        else:
            display_id = event.data.get("update") or event.data.get("display_id")
            self._show_output(event.data["output"], display_id)

    def _show_output(self, output: Mapping[str, Any], display_id: str | None) -> None:
        kind = output["output_type"]
        if kind == "stream":
            stream = sys.stderr if output["name"] == "stderr" else sys.stdout
            _write(stream, _joined(output["text"]))
        elif kind == "error":
            _write(sys.stderr, "\n".join([*output["traceback"], ""]))
        else:
            self._show_bundle(output, display_id)

    def _show_bundle(self, output: Mapping[str, Any], display_id: str | None) -> None:
        """Show it anew, or in the place of what had the same display id."""
        data = {mime: _joined(content) for mime, content in output["data"].items()}
        metadata = dict(output.get("metadata") or {})
        if display_id is None:
            display(data, metadata=metadata, raw=True)
            return
        # Two tasks that are watched in one notebook may use the same id.
        place = f"{self._prefix}:{display_id}"
        display(data, metadata=metadata, raw=True, display_id=place, update=place in self._known)
        self._known.add(place)


def _write(stream: TextIO, text: str) -> None:
    stream.write(text)
    stream.flush()


def _joined(content: Any) -> Any:
    """Text that the notebook format keeps as a list of lines, in one piece."""
    is_lines = isinstance(content, list) and all(isinstance(line, str) for line in content)
    return "".join(content) if is_lines else content
