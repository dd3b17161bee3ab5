"""An audit's verdict as HTML that needs nothing, for the card in a cell."""

from __future__ import annotations

import os
from collections.abc import Sequence
from html import escape
from urllib.parse import quote, urlsplit

from opspawn_jupyter.client.audit_text import AUDIT_HEADINGS, audit_row
from opspawn_jupyter.client.discovery import Server
from opspawn_jupyter.client.verdict_text import ANSWER_GLYPHS
from opspawn_jupyter.model.audit import Answer, Headline
from opspawn_jupyter.model.task import Task

_GREEN, _RED, _BROWN, _GREY = "#116329", "#a40e26", "#7d4e00", "#57606a"
_COLOURS = {
    Answer.PASS: _GREEN,
    Answer.FAIL: _RED,
    Answer.INCONCLUSIVE: _BROWN,
    Answer.NOT_APPLICABLE: _GREY,
}
_HEADLINES = {
    Headline.FAILS: _RED,
    Headline.INCONCLUSIVE: _BROWN,
    Headline.EXECUTES: _BROWN,
}
_STAMP = "color:#fff;border-radius:4px;padding:2px 10px;font-weight:700;letter-spacing:.04em"
_LAMP = (
    "border:1px solid rgba(128,128,128,.45);border-radius:6px;padding:3px 8px;flex:1 1 120px;"
    "overflow-wrap:anywhere"
)
_LINK = "color:inherit;text-decoration:underline"


def lights(task: Task, server: Server) -> str:
    """The verdict; empty while there is none."""
    if task.kind != "audit" or "headline" not in task.outputs:
        return ""
    headline = str(task.outputs["headline"])
    colour = _HEADLINES.get(Headline(headline), _GREEN)
    reasons = task.outputs.get("reasons", {})
    lamps = "".join(
        _lamp(name, answer, str(reasons.get(name, "")))
        for name, answer in task.outputs["lights"].items()
    )
    return (
        f'<div style="margin:6px 0"><span style="background:{colour};{_STAMP}">'
        f"{escape(headline)}</span> {_report_link(task, server)}</div>"
        f'<div style="display:flex;flex-wrap:wrap;gap:6px">{lamps}</div>'
    )


def audit_list(tasks: Sequence[Task]) -> str:
    """The audits as a table."""
    cell = "text-align:left;padding:2px 12px 2px 0;vertical-align:top"
    rows = [
        "<tr>" + "".join(f'<td style="{cell}">{escape(said)}</td>' for said in row) + "</tr>"
        for row in (AUDIT_HEADINGS, *(audit_row(task) for task in tasks))
    ]
    return f'<table style="color:inherit;font-size:13px">{"".join(rows)}</table>'


def _lamp(name: str, answer: str, reason: str) -> str:
    colour = _COLOURS[Answer(answer)]
    word = f"{ANSWER_GLYPHS[answer]} {answer.replace('_', ' ')}"
    return (
        f'<div style="{_LAMP};border-top:4px solid {colour}"><b>{escape(name.replace("_", " "))}'
        f'</b><br>{escape(word)}<br><span style="font-size:12px">{escape(reason)}</span></div>'
    )


def _report_link(task: Task, server: Server) -> str:
    """To the report in Jupyter's own view of files, in which no script of it may run."""
    base = urlsplit(server.url).path
    path = quote(f"{task.run_directory}/artifacts/report.html".replace(os.sep, "/"))
    return f'<a style="{_LINK}" href="{escape(base)}lab/tree/{path}">report</a>'
