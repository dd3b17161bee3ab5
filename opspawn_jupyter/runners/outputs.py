"""What cells put out, on its way to whoever listens: in few events, and none too large."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from opspawn_jupyter.model.states import EventType

Tell = Callable[[EventType, Mapping[str, Any]], None]

#: Display data of this type is a message of ``opspawn_jupyter.step``, not an output.
STEP_MIME = "application/vnd.opspawn.step+json"

_FLUSH_SECONDS = 0.1
_TEXT_LENGTH = 16 * 1024
_BUNDLE_LENGTH = 256 * 1024
#: A carriage return moves to the start of the line, and what follows overwrites it.
_OVERWRITTEN = re.compile(r"[^\n]*\r(?=[^\r\n])")


class Outputs:
    """Tells the outputs of one run as ``cell.output`` events, stream text gathered for 100 ms."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._number = 0
        self._text: list[str] = []
        self._stream: tuple[int, str] | None = None
        self._progress: Mapping[str, Any] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def stream(self, index: int, name: str, text: str) -> None:
        """Text of a stream, as it came."""
        if self._stream != (index, name):
            self.flush()
            self._stream = (index, name)
        self._text.append(text)
        self._flush_soon()

    def show(self, index: int, output: Mapping[str, Any], display_id: str | None = None) -> None:
        """Any other output. A later ``update`` of its display id takes its place."""
        data: dict[str, Any] = {"index": index, "output": bounded(output)}
        self._event(data if display_id is None else {**data, "display_id": display_id})

    def clear(self, index: int) -> None:
        """What the cell has shown so far is gone."""
        self._event({"index": index, "clear": True})

    def update(self, index: int, display_id: str, output: Mapping[str, Any]) -> None:
        """Displays of this id, in whichever cell, look like this now."""
        self._event({"index": index, "update": display_id, "output": bounded(output)})

    def step(self, message: Mapping[str, Any]) -> None:
        """A message of the step API."""
        if "output" in message:
            self._tell(EventType.STEP_OUTPUT, dict(message["output"]))
        if "log" in message:
            self.flush()
            self._tell(EventType.STEP_LOG, {"text": str(message["log"]["text"])[:_TEXT_LENGTH]})
        if "progress" in message:
            # Only the last of a burst matters, and each one told is an entry in the journal.
            self._progress = bounded_progress(message["progress"])
            self._flush_soon()

    def flush(self) -> None:
        """Tell what was gathered."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._flush_stream()
        if self._progress is not None:
            progress, self._progress = self._progress, None
            self._tell(EventType.STEP_PROGRESS, progress)

    def _flush_soon(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_FLUSH_SECONDS, self.flush)

    def _flush_stream(self) -> None:
        if self._stream is None:
            return
        (index, name), self._stream = self._stream, None
        text = "".join(self._text)
        self._text.clear()
        for piece in pieces(text):
            output = {"output_type": "stream", "name": name, "text": piece}
            self._number += 1
            self._tell(
                EventType.CELL_OUTPUT,
                {"index": index, "output_number": self._number, "output": output},
            )

    def _event(self, data: dict[str, Any]) -> None:
        self.flush()
        self._number += 1
        self._tell(EventType.CELL_OUTPUT, {**data, "output_number": self._number})


def pieces(text: str) -> Iterator[str]:
    """The text in parts that fit an event."""
    for start in range(0, len(text), _TEXT_LENGTH):
        yield text[start : start + _TEXT_LENGTH]


def bounded(output: Mapping[str, Any]) -> Mapping[str, Any]:
    """The output itself, or, where it is too large for an event, what can stand for it."""
    length = len(json.dumps(output))
    if length <= _BUNDLE_LENGTH:
        return output
    if output["output_type"] == "error":
        return {**output, "evalue": output["evalue"][:_TEXT_LENGTH], "traceback": []}
    plain = str(output.get("data", {}).get("text/plain", ""))
    metadata = {"opspawn": {"elided_bytes": length}}
    return {**output, "data": {"text/plain": plain[:_TEXT_LENGTH]}, "metadata": metadata}


def bounded_progress(progress: Mapping[str, Any]) -> Mapping[str, Any]:
    """How far a step is, with no more text than fits an event."""
    return {**progress, "text": str(progress.get("text", ""))[:_TEXT_LENGTH]}


def overwrite(text: str) -> str:
    """The text as a terminal leaves it where carriage returns went back over a line.

    A progress bar of a thousand updates is stored as one line, as JupyterLab shows it.
    """
    return _OVERWRITTEN.sub("", text) if "\r" in text else text
