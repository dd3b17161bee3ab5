"""``run.log``: what happens on an attempt, in lines for people."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from opspawn_jupyter.model.states import OUTCOME_EVENTS, EventType, State
from opspawn_jupyter.model.task import Cell, Problem
from opspawn_jupyter.model.work import ReportedEvent

#: Where a time's fraction begins.
_SECOND = len("2026-01-01 00:00:00")
_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_OUTCOMES = frozenset(OUTCOME_EVENTS.values())


class Facts(Protocol):
    """What the log says of a task after an event."""

    @property
    def attempt(self) -> int:
        """Which of its attempts it is."""

    @property
    def state(self) -> State:
        """Where it stands."""

    @property
    def cells(self) -> Sequence[Cell]:
        """Those that are known."""

    @property
    def error(self) -> Problem | None:
        """Why it failed, where it did."""

    @property
    def duration_seconds(self) -> float | None:
        """From its start to its end, where it has one."""


class LogText:
    """The text, event by event."""

    def __init__(self) -> None:
        self._is_mid_line = False

    def of(self, event: ReportedEvent, task: Facts) -> str:
        """The lines for an event, by which the task has come to be so; there may be none."""
        if event.type is EventType.CELL_OUTPUT:
            return self._output(event.data.get("output", {}))
        lines = _lines(event, task)
        if not lines:
            return ""
        start = "\n" if self._is_mid_line else ""
        self._is_mid_line = False
        at = event.at.isoformat(" ")[:_SECOND]
        return start + "".join([f"{at}Z {line}\n" for line in lines])

    def _output(self, output: Mapping[str, Any]) -> str:
        text = _plain(output)
        if not text:
            return ""
        if output["output_type"] != "stream":
            text = ("\n" if self._is_mid_line else "") + text.rstrip("\n") + "\n"
        self._is_mid_line = not text.endswith("\n")
        return text


def _lines(event: ReportedEvent, task: Facts) -> list[str]:
    if event.type in _OUTCOMES:
        return [*map(_output, event.data.get("outputs", ())), _outcome(task)]
    if event.type is EventType.STARTED:
        return _started(event.data, task)
    say = _LINES.get(event.type)
    line = say(event.data, task) if say else ""
    return [line] if line else []


def _started(data: Mapping[str, Any], task: Facts) -> list[str]:
    """A small step has its process as soon as it has begun."""
    begun = f"attempt {task.attempt} started"
    if "kernel" not in data:
        return [begun]
    return [begun, _kernel_started({**data, "name": data["kernel"]}, task)]


def _output(name: str) -> str:
    return f"output {name}"


def _outcome(task: Facts) -> str:
    seconds = task.duration_seconds or 0.0
    reason = f": {task.error.name}: {task.error.message}" if task.error else ""
    return f"task {task.state.value} after {seconds:.3f} s{reason}"


def _kernel_started(data: Mapping[str, Any], _task: Facts) -> str:
    why = f": {data['tier_reason']}" if data.get("tier_reason") else ""
    return f"kernel {data['name']} started, pid {data['pid']}, tier {data.get('tier')}{why}"


def _cell_started(data: Mapping[str, Any], task: Facts) -> str:
    return f"{_place(data['index'], task)} started: {_title(data['index'], task)}"


def _cell_finished(data: Mapping[str, Any], task: Facts) -> str:
    return f"{_place(data['index'], task)} {data['state']} after {data['duration_seconds']:.3f} s"


def _place(index: int, task: Facts) -> str:
    """Cell n of m, counting code cells from 1 as people do."""
    indexes = [cell.index for cell in task.cells]
    place = indexes.index(index) + 1 if index in indexes else index
    return f"cell {place} of {len(indexes)}"


def _title(index: int, task: Facts) -> str:
    return next((cell.title for cell in task.cells if cell.index == index), "")


_LINES: Mapping[EventType, Callable[[Mapping[str, Any], Facts], str]] = {
    EventType.KERNEL_STARTED: _kernel_started,
    EventType.CELL_STARTED: _cell_started,
    EventType.CELL_FINISHED: _cell_finished,
    EventType.WAITING: lambda data, _task: (
        "waits for an answer" if "question" in data else f"waits for task {data['awaited']}"
    ),
    EventType.STEP_LOG: lambda data, _: str(data["text"]),
    EventType.STEP_OUTPUT: lambda data, _: _output(data["name"]),
}


def _plain(output: Mapping[str, Any]) -> str:
    if output.get("output_type") == "stream":
        return str(output["text"])
    if output.get("output_type") == "error":
        return _ANSI.sub("", "\n".join(output["traceback"]))
    return str(output.get("data", {}).get("text/plain", ""))
