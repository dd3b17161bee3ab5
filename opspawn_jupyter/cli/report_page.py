"""A report on a terminal, in colours and in columns that wrap. Needs rich."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from opspawn_jupyter.client import text
from opspawn_jupyter.model.diagnosis import Report, Verdict

_STYLES = {Verdict.OK: "green", Verdict.WARNING: "yellow", Verdict.PROBLEM: "bold red"}


def show(report: Report, console: Console | None = None) -> None:
    """Print it."""
    console = console or Console()
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, style="bold")
    table.add_column(overflow="fold")
    for finding in report.findings:
        style = _STYLES[finding.verdict]
        said = Text(finding.message)
        if finding.advice:
            said.append(f"\n→ {finding.advice}", style=style)
        verdict = Text(f"{text.VERDICT_GLYPHS[finding.verdict]} {finding.verdict}", style=style)
        table.add_row(verdict, finding.check, said)
    console.print(table)
    console.print(Text(text.report_sum(report), style=_STYLES[report.verdict]))
