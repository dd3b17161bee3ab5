"""A workflow's graph as a drawing that needs no script: boxes with states, and lines between."""

from __future__ import annotations

from html import escape

from opspawn_jupyter.client.html import COLOURS, table_html
from opspawn_jupyter.client.task_text import duration, state_word, task_line
from opspawn_jupyter.client.workflow_text import counted, in_order, note_of
from opspawn_jupyter.model import graph
from opspawn_jupyter.model.workflow_view import StepView, WorkflowView

_WIDTH, _HEIGHT, _GAP_X, _GAP_Y, _MARGIN = 168, 44, 48, 14, 8
#: A larger graph is shown as a table: nobody could read the drawing.
_MOST_DRAWN = 150
_LONGEST_NAME = 20


def workflow_html(view: WorkflowView) -> str:
    """The run: its one line, then the drawing or the table."""
    heading = f"<div><b>{escape(task_line(view.task))}</b></div>"
    error = view.task.error
    said = f"<div>error: {escape(error.message)}</div>" if error else ""
    body = _drawing(view) if len(view.steps) <= _MOST_DRAWN else _table(view)
    return f"{heading}{said}{body}"


def _table(view: WorkflowView) -> str:
    rows = (
        [escape(step.id), escape(state_word(step.state)), escape(note_of(step))]
        for step in in_order(view)
    )
    return table_html(("step", "state", ""), rows)


def _drawing(view: WorkflowView) -> str:
    levels = graph.levels({step.id: step.depends_on for step in view.steps})
    places = {
        name: (_MARGIN + x * (_WIDTH + _GAP_X), _MARGIN + y * (_HEIGHT + _GAP_Y))
        for x, level in enumerate(levels)
        for y, name in enumerate(level)
    }
    width = 2 * _MARGIN + len(levels) * (_WIDTH + _GAP_X) - _GAP_X
    height = 2 * _MARGIN + max(map(len, levels)) * (_HEIGHT + _GAP_Y) - _GAP_Y
    edges = "".join(
        _edge(places[before], places[step.id]) for step in view.steps for before in step.depends_on
    )
    boxes = "".join(_box(step, *places[step.id]) for step in view.steps)
    return (
        f'<div style="overflow-x:auto"><svg role="img" aria-label="graph of the workflow" '
        f'width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'style="font:12px sans-serif;max-width:none">{edges}{boxes}</svg></div>'
    )


def _edge(start: tuple[int, int], end: tuple[int, int]) -> str:
    x1, y1 = start[0] + _WIDTH, start[1] + _HEIGHT // 2
    x2, y2 = end[0], end[1] + _HEIGHT // 2
    middle = (x1 + x2) // 2
    path = f"M{x1},{y1} C{middle},{y1} {middle},{y2} {x2},{y2}"
    return f'<path d="{path}" fill="none" stroke="#8c959f" stroke-width="1.5"/>'


def _box(step: StepView, x: int, y: int) -> str:
    colour = COLOURS[step.state]
    name = step.id if len(step.id) <= _LONGEST_NAME else step.id[: _LONGEST_NAME - 1] + "…"
    took = f" · {duration(step.duration_seconds)}" if step.duration_seconds is not None else ""
    state = "✓ reused" if step.reused_from else state_word(step.state)
    title = f"{step.id} ({step.kind}): {state_word(step.state)}"
    more = note_of(step) or step.description
    told = escape(f"{title}\n{more}" if more else title)
    return (
        f'<g><title>{told}</title><rect x="{x}" y="{y}" width="{_WIDTH}" height="{_HEIGHT}" '
        f'rx="6" fill="{colour}" stroke="{colour}"/>'
        f'<text x="{x + 10}" y="{y + 18}" fill="#fff" font-weight="600">'
        f"{escape(name + counted(step))}</text>"
        f'<text x="{x + 10}" y="{y + 34}" fill="#fff">{escape(state + took)}</text></g>'
    )
