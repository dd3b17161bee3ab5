"""Tasks, listings and tables as plain text: what a terminal and a ``repr`` show."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from opspawn_jupyter.client.verdict_text import verdict_lines
from opspawn_jupyter.model.clock import now
from opspawn_jupyter.model.diagnosis import Report, Verdict
from opspawn_jupyter.model.ids import short
from opspawn_jupyter.model.notebook import Parameter
from opspawn_jupyter.model.retention import Pruned
from opspawn_jupyter.model.states import State
from opspawn_jupyter.model.table import Table
from opspawn_jupyter.model.task import Cell, Task

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
_SIZES = ("B", "kB", "MB", "GB", "TB")


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


def size(size_bytes: int) -> str:
    """``512 B``, ``3.2 MB``, in powers of 1000."""
    if size_bytes < 1000:
        return f"{size_bytes} B"
    power = min((len(str(size_bytes)) - 1) // 3, len(_SIZES) - 1)
    return f"{size_bytes / 1000**power:.1f} {_SIZES[power]}"


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
        return "waits for an answer: opspawn questions"
    if task.state is not State.RUNNING:
        return "cancelling" if task.cancel_requested and not task.state.is_final else ""
    cell = task.running_cell
    parts = ["cancelling" if task.cancel_requested else "", cell.title if cell else ""]
    if task.progress is not None and task.progress.fraction is not None:
        parts.append(f"{task.progress.fraction:.0%} {task.progress.text}".strip())
    said = " · ".join(part for part in parts if part)
    return f"now: {said}" if said else ""


def _output_lines(task: Task) -> list[str]:
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
    return (short(task.id), state, task.name, cells, duration_line(task), created)


def table_text(table: Table) -> str:
    """The rows under their columns' names."""
    headings = [column.name for column in table.columns]
    text = columns(headings, [[cell_text(value) for value in row] for row in table.rows])
    return f"{text}\n(there are more rows)" if table.truncated else text


def cell_text(value: Any) -> str:
    """One value of a table."""
    return "" if value is None else brief(value)


def parameter_list(parameters: Iterable[Parameter]) -> str:
    """What a notebook declares, as Python would write it."""
    lines = [_parameter_line(parameter) for parameter in parameters]
    return "\n".join(lines) or "the notebook declares no parameters"


def _parameter_line(parameter: Parameter) -> str:
    default = f" = {parameter.default}" if parameter.default else ""
    help_text = f"  # {parameter.help}" if parameter.help else ""
    return f"{parameter.name}: {parameter.type}{default}{help_text}"


def outputs_text(values: Mapping[str, Any]) -> str:
    """Outputs, one a line, uncut."""
    return json.dumps(values, indent=2, ensure_ascii=False)


VERDICT_GLYPHS: Mapping[str, str] = {"ok": "✓", "warning": "!", "problem": "✗"}


def report(given: Report) -> str:
    """A line for each check, with what to do below it, and the sum of it all."""
    width = max((len(finding.check) for finding in given.findings), default=0)
    lines = []
    for finding in given.findings:
        glyph = VERDICT_GLYPHS[finding.verdict]
        lines.append(f"{glyph} {finding.verdict:<7}  {finding.check:<{width}}  {finding.message}")
        if finding.advice:
            lines.append(f"{'':{width + 11}}  → {finding.advice}")
    return "\n".join([*lines, report_sum(given)])


def report_sum(given: Report) -> str:
    """``12 checks: 1 warning, 2 problems``."""
    counts = Counter(finding.verdict for finding in given.findings)
    bad = [
        f"{counts[verdict]} {verdict}{'s' if counts[verdict] > 1 else ''}"
        for verdict in (Verdict.PROBLEM, Verdict.WARNING)
        if counts[verdict]
    ]
    return f"{len(given.findings)} checks: {', '.join(bad) or 'all is well'}"


def pruned_text(pruned: Pruned) -> str:
    """What went or would go, and how much room that makes."""
    if not pruned.removals:
        return "nothing to remove"
    rows = [
        (short(one.task_id), one.name, f"{one.finished_at:%Y-%m-%d %H:%M}", size(one.size_bytes),
         one.problem or one.reason)
        for one in pruned.removals
    ]  # fmt: skip
    table = columns(("id", "name", "ended (UTC)", "size", "why"), rows)
    kept = sum(one.problem is not None for one in pruned.removals)
    word = "would be removed" if pruned.dry_run else "removed"
    gone = f"{len(pruned.removals) - kept} run directories {word}, {size(pruned.size_bytes)}"
    return f"{table}\n{gone}" + (f"; {kept} could not be" if kept else "")


def columns(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Text in columns, padded with blanks."""
    table = [list(headings), *(list(row) for row in rows)]
    widths = [max(len(row[i]) for row in table) for i in range(len(headings))]
    lines = ["  ".join(v.ljust(w) for v, w in zip(row, widths, strict=True)) for row in table]
    return "\n".join(line.rstrip() for line in lines)


def without_colour(text: str) -> str:
    """The text without terminal colours."""
    return _ANSI.sub("", text)
