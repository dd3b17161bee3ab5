"""Tables, findings and the like as plain text: what a terminal and a ``repr`` show."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from opspawn_jupyter.client.task_text import brief, columns
from opspawn_jupyter.model.diagnosis import Report, Verdict
from opspawn_jupyter.model.ids import short
from opspawn_jupyter.model.notebook import Parameter
from opspawn_jupyter.model.retention import Pruned
from opspawn_jupyter.model.table import Table

_SIZES = ("B", "kB", "MB", "GB", "TB")


def size(size_bytes: int) -> str:
    """``512 B``, ``3.2 MB``, in powers of 1000."""
    if size_bytes < 1000:
        return f"{size_bytes} B"
    power = min((len(str(size_bytes)) - 1) // 3, len(_SIZES) - 1)
    return f"{size_bytes / 1000**power:.1f} {_SIZES[power]}"


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
        (
            short(one.task_id),
            brief(one.name),
            f"{one.finished_at:%Y-%m-%d %H:%M}",
            size(one.size_bytes),
            one.problem or one.reason,
        )
        for one in pruned.removals
    ]
    table = columns(("id", "name", "ended (UTC)", "size", "why"), rows)
    kept = sum(one.problem is not None for one in pruned.removals)
    word = "would be removed" if pruned.dry_run else "removed"
    gone = f"{len(pruned.removals) - kept} run directories {word}, {size(pruned.size_bytes)}"
    return f"{table}\n{gone}" + (f"; {kept} could not be" if kept else "")
