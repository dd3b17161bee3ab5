"""Tasks, listings and tables as HTML that needs nothing: no script, no style sheet.

The picture has to be true in a saved notebook, on a web page and in light and dark themes, so
text takes the page's own colour, and only the pill of the state has colours of its own, which
keep a contrast of 4.5:1 (WCAG 2.2, 1.4.3) wherever they stand.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from urllib.parse import quote, urlsplit

from opspawn_jupyter.client import audit_html, task_text, text
from opspawn_jupyter.client.discovery import Server
from opspawn_jupyter.client.question_text import QUESTION_HEADINGS, logins, question_row
from opspawn_jupyter.model.diagnosis import Report, Verdict
from opspawn_jupyter.model.ids import short
from opspawn_jupyter.model.notebook import Parameter
from opspawn_jupyter.model.question import Question
from opspawn_jupyter.model.table import Table
from opspawn_jupyter.model.task import Task

_GREY = "#57606a"
COLOURS: Mapping[str, str] = {
    "pending": _GREY,
    "queued": _GREY,
    "running": "#0550ae",
    "retrying": "#7d4e00",
    "success": "#116329",
    "failed": "#a40e26",
    "timed_out": "#7d4e00",
    "crashed": "#6639ba",
    "cancelled": _GREY,
    "waiting": "#7d4e00",
    "skipped": _GREY,
}
_BOX = (
    "border:1px solid rgba(128,128,128,.45);border-radius:6px;padding:8px 12px;margin:2px 0;"
    "max-width:720px;font-size:13px;line-height:1.5"
)
_PILL = "color:#fff;border-radius:10px;padding:1px 9px;font-weight:600;white-space:nowrap"
_CELL = "text-align:left;padding:2px 12px 2px 0;vertical-align:top"
#: A page need not have a colour for links that can be read on its own background.
_LINK = "color:inherit;text-decoration:underline"
_TABLE = "color:inherit;font-size:13px"
_MONO = "font-family:monospace;font-size:12px;overflow-wrap:anywhere"
_BAR = "height:4px;background:rgba(128,128,128,.3);border-radius:2px;margin:4px 0;overflow:hidden"


def task_card(task: Task, server: Server, notebook: str) -> str:
    """The task as a card. ``notebook``: path of its executed notebook."""
    lines = [
        _heading(task),
        _bar(task),
        audit_html.lights(task, server) or _outputs(task),
        _line(task_text.due_line(task)) if task.due_at else "",
        _line(f"error: {task_text.problem_line(task)}") if task.error else "",
        _links(task, server, notebook),
    ]
    return f'<div style="{_BOX}">{"".join(lines)}</div>'


def task_list(tasks: Sequence[Task]) -> str:
    """The tasks as a table."""
    if not tasks:
        return "<div>no tasks</div>"
    rows = (
        [
            _pill(task) if i == 1 else escape(value)
            for i, value in enumerate(task_text.task_row(task))
        ]
        for task in tasks
    )
    return table_html(task_text.TASK_HEADINGS, rows)


def question_list(questions: Sequence[Question]) -> str:
    """The questions as a table."""
    if not questions:
        return "<div>no open questions</div>"
    rows = ([escape(value) for value in question_row(question)] for question in questions)
    links = (
        f'<div><a href="{escape(url)}" target="_blank" rel="noopener noreferrer">'
        f"log in to {escape(server)}</a></div>"
        for _, server, url in logins(questions)
    )
    return table_html(QUESTION_HEADINGS, rows) + "".join(links)


def text_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Rows of plain text as a table."""
    return table_html(headings, ([escape(value) for value in row] for row in rows))


def table(answer: Table) -> str:
    """The rows of a query's answer."""
    headings = [column.name for column in answer.columns]
    rows = ([escape(text.cell_text(value)) for value in row] for row in answer.rows)
    more = "<div>there are more rows</div>" if answer.truncated else ""
    return table_html(headings, rows) + more


def parameter_list(parameters: Sequence[Parameter]) -> str:
    """What a notebook declares."""
    if not parameters:
        return "<div>the notebook declares no parameters</div>"
    rows = ([escape(v) for v in (p.name, p.type, p.default, p.help)] for p in parameters)
    return table_html(("parameter", "type", "default", "meaning"), rows)


_VERDICT_COLOURS: Mapping[str, str] = {
    "ok": "#116329",
    "warning": "#7d4e00",
    "problem": "#a40e26",
}


def _verdict_pill(verdict: Verdict) -> str:
    word = f"{text.VERDICT_GLYPHS[verdict]} {verdict}"
    return f'<span style="background:{_VERDICT_COLOURS[verdict]};{_PILL}">{word}</span>'


def report(given: Report) -> str:
    """The checks as a table, with what to do."""
    rows = (
        [
            _verdict_pill(finding.verdict),
            escape(finding.check),
            escape(finding.message),
            escape(finding.advice),
        ]
        for finding in given.findings
    )
    table = table_html(("", "check", "found", "what to do"), rows)
    return f"{table}<div>{escape(text.report_sum(given))}</div>"


def _outputs(task: Task) -> str:
    lines = (f"{name} = {task_text.brief(value)}" for name, value in task.outputs.items())
    return "".join(_line(line, _MONO) for line in lines)


def _heading(task: Task) -> str:
    facts = [short(task.id), task_text.cells_line(task), task_text.duration_line(task)]
    if task.cancel_requested and not task.state.is_final:
        facts.append("cancelling")
    said = escape(" · ".join(fact for fact in facts if fact))
    return f"<div>{_pill(task)} <b>{escape(task.name)}</b> <span>{said}</span></div>"


def _pill(task: Task) -> str:
    word = escape(task_text.state_word(task.state))
    return f'<span style="background:{COLOURS[task.state]};{_PILL}">{word}</span>'


def _bar(task: Task) -> str:
    if not task.cells:
        return ""
    percent = 100 * task.cells_done // len(task.cells)
    fill = f"height:100%;width:{percent}%;background:{COLOURS[task.state]}"
    label = escape(task_text.cells_line(task))
    return f'<div style="{_BAR}" role="img" aria-label="{label}"><div style="{fill}"></div></div>'


def _links(task: Task, server: Server, notebook: str) -> str:
    """Where the files lie, as links that JupyterLab follows and as a path to read.

    JupyterLab opens a link without a leading slash as a file beside the notebook, which does
    for the executed notebook; a directory needs the page of the file browser. The host is left
    out: the browser may reach the server by another name than the kernel does.
    """
    base = urlsplit(server.url).path
    directory = quote(task.run_directory.replace(os.sep, "/"))
    shown = escape(task.run_directory)
    link = f'<a style="{_LINK}" href="{escape(base)}lab/tree/{directory}">run directory</a>'
    links = " · ".join(one for one in [_notebook_link(notebook), link] if one)
    return f'<div>{links} <span style="{_MONO}">{shown}</span></div>'


def _notebook_link(notebook: str) -> str:
    """Empty where it is not there yet, or not on this machine, or not for this user to see."""
    if not os.path.isfile(notebook):  # noqa: PTH113  a path's own method raises for the last
        return ""
    beside = quote(Path(os.path.relpath(notebook)).as_posix())
    return f'<a style="{_LINK}" href="{escape(beside)}">executed notebook</a>'


def _line(content: str, style: str = "") -> str:
    return f'<div style="overflow-wrap:anywhere;{style}">{escape(content)}</div>'


def table_html(headings: Iterable[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are HTML already, under headings that are text."""
    head = "".join(f'<th scope="col" style="{_CELL}">{escape(value)}</th>' for value in headings)
    body = "".join(
        "<tr>" + "".join(f'<td style="{_CELL}">{value}</td>' for value in row) + "</tr>"
        for row in rows
    )
    return f'<table style="{_TABLE}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
