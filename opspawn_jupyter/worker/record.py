"""What one attempt leaves in its run directory: journal, log and summary."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from opspawn_jupyter.files import write_all
from opspawn_jupyter.model import run_journal, summary
from opspawn_jupyter.model.run_directory import RunDirectory
from opspawn_jupyter.model.states import OUTCOME_EVENTS, EventType
from opspawn_jupyter.model.task import Task
from opspawn_jupyter.model.work import ReportedEvent

_SUMMARY_SECONDS = 1.0
#: Where a time's fraction begins.
_SECOND = len("2026-01-01 00:00:00")
_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_OUTCOMES = frozenset(OUTCOME_EVENTS.values())


class Entry(NamedTuple):
    """An event, and the task after it."""

    event: ReportedEvent
    task: Task


class Record:
    """Writes the files of one attempt, each opened when there is something to write. The log is
    only ever appended to as the journal is."""

    def __init__(self, directory: RunDirectory, attempt: int) -> None:
        self._directory = directory
        self._attempt = attempt
        self._journal: int | None = None
        self._log: int | None = None
        # That of an earlier attempt is not left standing; of a first one there is none to begin
        # with, and most are over before anybody could look.
        self._summary_due = time.monotonic() + _SUMMARY_SECONDS if attempt == 1 else 0.0
        self._is_mid_line = False

    def journal(self, entries: Iterable[Entry]) -> None:
        """Put the durable ones down, for a server that cannot be told now."""
        durable = [event for event, _ in entries if event.type.is_durable]
        if not durable:
            return
        if self._journal is None:
            self._journal = run_journal.open_journal(self._directory.events)
        write_all(self._journal, run_journal.lines(self._attempt, durable))

    def log(self, entries: Iterable[Entry]) -> None:
        """Tell them to people."""
        text = "".join(map(self._told, entries))
        if not text:
            return
        if self._log is None:
            self._log = _append_to(self._directory.log)
        write_all(self._log, text.encode("utf-8", "backslashreplace"))

    def summarise(self, task: Task) -> None:
        """Rewrite the summary, at most once a second until the end."""
        now = time.monotonic()
        if not task.state.ends_attempt and now < self._summary_due:
            return
        self._summary_due = now + _SUMMARY_SECONDS
        summary.write(self._directory, task)

    def close(self) -> None:
        """Close the files."""
        for descriptor in (self._journal, self._log):
            if descriptor is not None:
                os.close(descriptor)

    def _told(self, entry: Entry) -> str:
        event, task = entry
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


def _lines(event: ReportedEvent, task: Task) -> list[str]:
    if event.type in _OUTCOMES:
        return [*map(_output, event.data.get("outputs", ())), _outcome(task)]
    if event.type is EventType.STARTED:
        return _started(event.data, task)
    say = _LINES.get(event.type)
    line = say(event.data, task) if say else ""
    return [line] if line else []


def _started(data: Mapping[str, Any], task: Task) -> list[str]:
    """A small step has its process as soon as it has begun."""
    begun = f"attempt {task.attempt} started"
    if "kernel" not in data:
        return [begun]
    return [begun, _kernel_started({**data, "name": data["kernel"]}, task)]


def _output(name: str) -> str:
    return f"output {name}"


def _outcome(task: Task) -> str:
    seconds = task.duration_seconds or 0.0
    reason = f": {task.error.name}: {task.error.message}" if task.error else ""
    return f"task {task.state.value} after {seconds:.3f} s{reason}"


def _kernel_started(data: Mapping[str, Any], _task: Task) -> str:
    why = f": {data['tier_reason']}" if data.get("tier_reason") else ""
    return f"kernel {data['name']} started, pid {data['pid']}, tier {data.get('tier')}{why}"


def _cell_started(data: Mapping[str, Any], task: Task) -> str:
    return f"{_place(data['index'], task)} started: {_title(data['index'], task)}"


def _cell_finished(data: Mapping[str, Any], task: Task) -> str:
    return f"{_place(data['index'], task)} {data['state']} after {data['duration_seconds']:.3f} s"


def _place(index: int, task: Task) -> str:
    """Cell n of m, counting code cells from 1 as people do."""
    indexes = [cell.index for cell in task.cells]
    place = indexes.index(index) + 1 if index in indexes else index
    return f"cell {place} of {len(indexes)}"


def _title(index: int, task: Task) -> str:
    return next((cell.title for cell in task.cells if cell.index == index), "")


_LINES: Mapping[EventType, Callable[[Mapping[str, Any], Task], str]] = {
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


def _append_to(path: os.PathLike[str]) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
