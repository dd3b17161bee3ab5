"""Tasks as plain text: what a terminal and a ``repr`` show."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from opspawn_jupyter.model.clock import now
from opspawn_jupyter.model.ids import short
from opspawn_jupyter.model.states import State
from opspawn_jupyter.model.task import Cell, Task, TaskPage

#: A state is always shown as glyph and word, and as colour where there is any.
GLYPHS: Mapping[str, str] = {
    "pending": "◌",
    "queued": "◔",
    "running": "▶",
    "retrying": "↻",
    "not_run": "·",
    "success": "✓",
    "failed": "✗",
    "timed_out": "⧗",
    "crashed": "✹",
    "cancelled": "⊘",
    "waiting": "?",
    "skipped": "↷",
}
_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_LONGEST_VALUE = 60


def state_word(state: str) -> str:
    """``✓ success``."""
    return f"{GLYPHS[state]} {state.replace('_', ' ')}"


def cells_line(task: Task) -> str:
    """``cells 2 of 5``; empty before they are known."""
    return f"cells {task.cells_done} of {len(task.cells)}" if task.cells else ""


def cell_name(task: Task, cell: Cell) -> str:
    """``cell 3 of 5``: counted among the code cells, as a person counts."""
    return f"cell {task.cells.index(cell) + 1} of {len(task.cells)}"


def duration_line(task: Task) -> str:
    """How long it took, or takes so far; empty before it has started."""
    if task.started_at is None:
        return ""
    seconds = ((task.finished_at or now()) - task.started_at).total_seconds()
    return duration(max(seconds, 0.0))


def duration(seconds: float) -> str:
    """``0.4 s``, ``3 min 20 s``, ``2 h 5 min``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def due_line(task: Task) -> str:
    """When a waiting task's time comes; empty where it waits for no time."""
    if task.due_at is None:
        return ""
    at = f"{task.due_at:%Y-%m-%d %H:%M:%S} UTC"
    if task.state is State.RETRYING:
        tries = task.policy.max_retries + 1
        return f"attempt {task.attempt} of {tries} {_outcome(task)}; next try at {at}"
    return f"starts at {at}"


def _outcome(task: Task) -> str:
    return f"did not succeed ({task.error.name})" if task.error else "did not succeed"


def progress_line(task: Task) -> str:
    """``50% half of it``: what it says of itself; empty where it has said nothing."""
    if task.progress is None or task.progress.fraction is None:
        return ""
    return f"{task.progress.fraction:.0%} {task.progress.text}".rstrip()


def problem_line(task: Task) -> str:
    """Why it did not succeed, on one line; empty where there is nothing to say."""
    if task.error is None:
        return ""
    said = " ".join(without_colour(task.error.message).split())
    name = task.error.name
    what = said if name == task.state or said.startswith(f"{name}:") else f"{name}: {said}"
    cell = next((cell for cell in task.cells if cell.index == task.error.cell_index), None)
    return f"{cell_name(task, cell)}: {what}" if cell else what


def task_line(task: Task) -> str:
    """The task in one line."""
    parts = [state_word(task.state), task.name, short(task.id), cells_line(task)]
    return "  ".join(part for part in [*parts, duration_line(task)] if part)


def task_card(task: Task, directory: str = "") -> str:
    """All that matters about the task, in a few lines. ``directory``: its run directory's path."""
    lines = [task_line(task), _now_line(task), *_output_lines(task)]
    if task.error is not None:
        lines.append(f"error: {problem_line(task)}")
    if task.tier_reason:
        lines.append(f"kernel: {task.tier} start ({task.tier_reason})")
    lines.append(f"run directory: {directory or task.run_directory}")
    return "\n".join(line for line in lines if line)


def _now_line(task: Task) -> str:
    """What a running task is at, or until when another waits."""
    if task.due_at is not None:
        return due_line(task)
    if task.state is State.WAITING:
        if task.question is None:
            return f"waits for its own tasks: opspawn tasks --parent {short(task.id)}"
        return "waits for an answer: opspawn questions"
    if task.state is not State.RUNNING:
        return "cancelling" if task.cancel_requested and not task.state.is_final else ""
    cell = task.running_cell
    parts = ["cancelling" if task.cancel_requested else "", cell.title if cell else ""]
    parts.append(progress_line(task))
    said = " · ".join(part for part in parts if part)
    return f"now: {said}" if said else ""


def _output_lines(task: Task) -> list[str]:
    if task.kind == "audit":
        from opspawn_jupyter.client.verdict_text import verdict_lines  # 8 ms, only for audits

        if verdict := verdict_lines(task):
            return verdict
    return [f"{name} = {brief(value)}" for name, value in task.outputs.items()]


def brief(value: Any, longest: int = _LONGEST_VALUE) -> str:
    """The value on one line, cut where it is long."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = " ".join(text.split())
    return text if len(text) <= longest else text[: longest - 1] + "…"


def task_list(tasks: Sequence[Task]) -> str:
    """A line for each task, under a heading."""
    if not tasks:
        return "no tasks"
    rows = [task_row(task) for task in tasks]
    return columns(TASK_HEADINGS, rows)


TASK_HEADINGS = ("id", "state", "name", "cells", "time", "created (UTC)")


def task_row(task: Task) -> tuple[str, ...]:
    """The task's values under ``TASK_HEADINGS``."""
    cells = f"{task.cells_done}/{len(task.cells)}" if task.cells else ""
    created = f"{task.created_at:%Y-%m-%d %H:%M:%S}"
    state = state_word(task.state)
    return (short(task.id), state, brief(task.name), cells, duration_line(task), created)


def page_text(page: TaskPage) -> str:
    """``task_list``, and whether there are more."""
    more = "\n(there are more; --limit shows them)" if page.next_cursor else ""
    return task_list(page.tasks) + more


def columns(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Text in columns, padded with blanks."""
    table = [list(headings), *(list(row) for row in rows)]
    widths = [max(len(row[i]) for row in table) for i in range(len(headings))]
    lines = ["  ".join(v.ljust(w) for v, w in zip(row, widths, strict=True)) for row in table]
    return "\n".join(line.rstrip() for line in lines)


def without_colour(text: str) -> str:
    """The text without terminal colours."""
    return _ANSI.sub("", text)
