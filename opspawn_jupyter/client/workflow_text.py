"""Workflows as plain text and as Mermaid: what a terminal and a ``repr`` show."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from opspawn_jupyter.client.task_text import GLYPHS, brief, columns, duration, state_word, task_line
from opspawn_jupyter.model import graph
from opspawn_jupyter.model.ids import short
from opspawn_jupyter.model.step_cache import Explanation
from opspawn_jupyter.model.workflow import WorkflowCheck
from opspawn_jupyter.model.workflow_view import Comparison, StepView, WorkflowView

_VERDICTS = {"hit": "✓ reused", "miss": "▶ ran", "forced": "▶ forced", "off": "· no cache"}
_MOST_DIFF_LINES = 40


def workflow_text(view: WorkflowView) -> str:
    """The run in one line, and a line for each step, set in by its place in the graph."""
    depth = {
        name: number for number, level in enumerate(graph.levels(_edges(view))) for name in level
    }
    rows = [_row(step, depth.get(step.id, 0)) for step in in_order(view)]
    lines = columns(("step", "state", "time", "after", ""), rows).splitlines()[1:] if rows else []
    error = [f"error: {view.task.error.message}"] if view.task.error else []
    return "\n".join([task_line(view.task), *(f"  {line}" for line in lines), *error])


def in_order(view: WorkflowView) -> list[StepView]:
    """The steps, each after those that it depends on."""
    steps = {step.id: step for step in view.steps}
    return [steps[name] for level in graph.levels(_edges(view)) for name in level]


def _edges(view: WorkflowView) -> dict[str, tuple[str, ...]]:
    return {step.id: step.depends_on for step in view.steps}


def _row(step: StepView, depth: int) -> tuple[str, ...]:
    return (
        f"{'  ' * min(depth, 12)}{step.id}{counted(step)}",
        state_word(step.state),
        duration(step.duration_seconds) if step.duration_seconds is not None else "",
        f"← {', '.join(step.depends_on)}" if step.depends_on else "",
        note_of(step),
    )


def counted(step: StepView) -> str:
    """`` 3/4`` for a step with items."""
    return f" {step.ended}/{len(step.task_ids)}" if len(step.task_ids) > 1 else ""


def note_of(step: StepView) -> str:
    """Why it did not run, or whose result it took over."""
    if step.reused_from:
        return f"reused from {short(step.reused_from)}"
    return brief(step.reason, 100) if step.reason else ""


def mermaid(view: WorkflowView) -> str:
    """The graph in Mermaid's language, for Markdown pages."""
    names = {step.id: f"s{number}" for number, step in enumerate(view.steps)}
    lines = ["flowchart LR"]
    for step in view.steps:
        label = f"{GLYPHS[step.state]} {step.id}{counted(step)}".replace('"', "'")
        lines.append(f'    {names[step.id]}["{label}"]:::{step.state}')
        lines += [f"    {names[before]} --> {names[step.id]}" for before in step.depends_on]
    colours = {"success": "#116329", "failed": "#a40e26", "running": "#0550ae"}
    lines += [
        f"    classDef {state} stroke:{colours.get(state, '#57606a')},stroke-width:2px"
        for state in dict.fromkeys(step.state for step in view.steps)
    ]
    return "\n".join(lines)


def explanation_text(given: Explanation) -> str:
    """A line for each step: whether it ran, and why."""
    rows = [
        (one.step, _VERDICTS.get(one.verdict, one.verdict), "; ".join(one.reasons))
        for one in given.steps
    ]
    return columns(("step", "cache", "why"), rows) if rows else "no step has had its turn yet"


def check_text(check: WorkflowCheck) -> str:
    """That all is well."""
    count = len(check.workflow.steps) if check.workflow else 0
    return f"{check.label}: {count} steps, nothing is wrong"


def comparison_text(given: Comparison) -> str:
    """What is different, step by step."""
    lines = [
        f"first:  {short(given.ids[0])} {given.states[0]} {_time(given.durations_seconds[0])}",
        f"second: {short(given.ids[1])} {given.states[1]} {_time(given.durations_seconds[1])}",
        *_pairs("parameter", given.parameters),
        *_pairs("output", given.outputs),
        *given.source[:_MOST_DIFF_LINES],
    ]
    for step in given.steps:
        words = [f"{step.states[0]} → {step.states[1]}"]
        words.append(f"{_time(step.durations_seconds[0])} → {_time(step.durations_seconds[1])}")
        lines.append(f"step {step.step}: {', '.join(words)}")
        lines += [f"  {line}" for line in _pairs("parameter", step.parameters)]
        lines += [f"  {line}" for line in _pairs("output", step.outputs)]
        lines += [f"  {line}" for line in step.source[:_MOST_DIFF_LINES]]
    return "\n".join(lines)


def _time(seconds: float | None) -> str:
    return "—" if seconds is None else duration(seconds)


def _pairs(what: str, pairs: Mapping[str, Any]) -> Iterator[str]:
    for name, (first, second) in pairs.items():
        yield f"{what} {name}: {brief(first)} → {brief(second)}"
