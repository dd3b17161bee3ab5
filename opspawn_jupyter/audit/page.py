"""The report as one HTML file that needs nothing: no script, no network.

What notebooks put out is not to be trusted. Text is escaped; HTML and drawings are shown in
frames in which nothing may run (``sandbox=""``), behind a policy that lets nothing load.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from opspawn_jupyter.audit import comparison, sides
from opspawn_jupyter.model.audit import (
    Answer,
    CellVerdict,
    FileRecord,
    Headline,
    Lamp,
    Sameness,
    Verdict,
)
from opspawn_jupyter.model.ids import short

_POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; frame-src 'self' about: data:"
)
_GLYPHS = {
    Answer.PASS: "✓",
    Answer.FAIL: "✗",
    Answer.INCONCLUSIVE: "?",
    Answer.NOT_APPLICABLE: "-",
}
_BAD = (Headline.FAILS,)
_GOOD = (Headline.REPRODUCED, Headline.REPRODUCIBLE, Headline.HERMETIC)
_STORED, _FRESH, _AGAIN = "stored", "run again", "other surroundings"


def page(
    verdict: Verdict,
    stored: Mapping[str, Any],
    control: Mapping[str, Any],
    again: Mapping[str, Any] | None,
) -> str:
    """The whole file."""
    style = Path(__file__).with_name("page.css").read_text(encoding="utf-8")
    body = [
        _head(verdict),
        f'<div class="lamps">{"".join(map(_lamp, verdict.lamps))}</div>',
        _evidence(verdict.lamps),
        _cells(verdict, stored, control, again),
        _runs(verdict),
        _files("Files read", verdict.inputs),
        _files("Files made", verdict.products),
        _list("Oddities of the stored notebook", verdict.findings),
        _list("What this audit could not see", verdict.limits),
        _environment(verdict),
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(verdict.headline)}: {escape(verdict.notebook)}</title>"
        f"<style>{style}</style></head><body>{''.join(body)}</body></html>\n"
    )


def _head(verdict: Verdict) -> str:
    kind = "good" if verdict.headline in _GOOD else "bad" if verdict.headline in _BAD else ""
    seconds = sum(run.seconds for run in verdict.runs)
    facts = (
        f"audit of {len(verdict.cells)} cells in {len(verdict.runs)} runs, {seconds:.1f} s · "
        f"kernel {verdict.kernel} · rules of policy {verdict.policy_version}"
    )
    return (
        f'<div class="head"><div class="stamp {kind}">{escape(verdict.headline)}</div><div>'
        f'<h1>{escape(verdict.notebook)}</h1><div class="sub">{escape(facts)}</div>'
        f'<div class="sub mono">sha256 {escape(verdict.source_sha256)}</div></div></div>'
    )


def _lamp(lamp: Lamp) -> str:
    word = f"{_GLYPHS[lamp.answer]} {lamp.answer.replace('_', ' ')}"
    return (
        f'<div class="lamp {lamp.answer}"><b>{escape(lamp.light.replace("_", " "))}</b>'
        f'<span class="word">{escape(word)}</span><p>{escape(lamp.reason)}</p></div>'
    )


def _evidence(lamps: Iterable[Lamp]) -> str:
    parts = [
        f"<details><summary>Evidence for {escape(lamp.light.replace('_', ' '))}</summary>"
        f"<div>{_notes(lamp.evidence)}</div></details>"
        for lamp in lamps
        if lamp.evidence
    ]
    return "".join(parts)


def _cells(
    verdict: Verdict,
    stored: Mapping[str, Any],
    control: Mapping[str, Any],
    again: Mapping[str, Any] | None,
) -> str:
    versions = [comparison.code_cells(one) if one else {} for one in (stored, control, again)]
    shown = [_cell(one, [version.get(one.index) for version in versions]) for one in verdict.cells]
    return f"<h2>Cells</h2>{''.join(shown)}"


def _cell(cell: CellVerdict, versions: Sequence[Mapping[str, Any] | None]) -> str:
    is_open = Sameness.DIFFERENT in (cell.stored, cell.again)
    pills = [
        _pill(cell.stored, "not run" if not cell.has_run else "nothing stored"),
        _pill(cell.again, "", " between runs") if cell.again is Sameness.DIFFERENT else "",
    ]
    why = " · ".join(part for part in (cell.exemption, cell.cause) if part)
    summary = f"cell {cell.index} {' '.join(pills)} <code>{escape(cell.title)}</code>"
    body = [f'<div class="sub">{escape(why)}</div>' if why else "", _part_notes(cell)]
    if cell.stored is Sameness.DIFFERENT:
        body.append(sides.both(versions[0], versions[1], _STORED, _FRESH))
    if cell.again is Sameness.DIFFERENT:
        body.append(sides.both(versions[1], versions[2], _FRESH, _AGAIN))
    source = "".join((versions[0] or {}).get("source", ""))
    body.append(f"<pre>{escape(source)}</pre>")
    mark = " open" if is_open else ""
    return f"<details{mark}><summary>{summary}</summary><div>{''.join(body)}</div></details>"


def _pill(sameness: Sameness | None, otherwise: str, more: str = "") -> str:
    if sameness is None:
        return f'<span class="pill">{escape(otherwise)}</span>'
    kind = {
        Sameness.DIFFERENT: "different",
        Sameness.VOLATILE: "volatile",
        Sameness.NOT_COMPARED: "",
    }.get(sameness, "same")
    return f'<span class="pill {kind}">{escape(sameness + more)}</span>'


def _part_notes(cell: CellVerdict) -> str:
    parts = [part for part in (*cell.parts, *cell.again_parts) if part.notes]
    said = [f"{part.kind}, {part.sameness}: {'; '.join(part.notes)}" for part in parts]
    return _notes(dict.fromkeys(said))


def _notes(notes: Iterable[str]) -> str:
    items = "".join(f"<li>{escape(note)}</li>" for note in notes)
    return f'<ul class="notes">{items}</ul>' if items else ""


def _runs(verdict: Verdict) -> str:
    rows = [
        (run.name, ", ".join(run.perturbed) or "as recorded", run.state,
         f"{run.cells_run} of {run.cells_total}", f"{run.seconds:.1f} s", run.problem)
        for run in verdict.runs
    ]  # fmt: skip
    headings = ("run", "made different", "ended", "cells", "time", "problem")
    return f"<h2>Runs</h2>{_table(headings, rows)}"


def _files(title: str, records: Sequence[FileRecord]) -> str:
    if not records:
        return ""
    rows = [(one.path, f"{one.size_bytes:,} bytes", one.sha256) for one in records]
    return f"<h2>{escape(title)}</h2>{_table(('path', 'size', 'sha256'), rows)}"


def _list(title: str, notes: Sequence[str]) -> str:
    return f"<h2>{escape(title)}</h2>{_notes(notes)}" if notes else ""


def _environment(verdict: Verdict) -> str:
    given = verdict.environment
    if not given:
        return ""
    rows = [
        (one["name"], one["version"], short(one["record_sha256"] or "") or "-")
        for one in given["distributions"]
    ]
    about = f"{given['python']['implementation']} {given['python']['version']}, "
    about += str(given["platform"]["system"])
    table = _table(("distribution", "version", "RECORD ends with"), rows)
    return (
        f"<h2>Environment</h2><p>{escape(about)}</p><details><summary>{len(rows)} distributions"
        f"</summary><div>{table}</div></details>"
    )


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in headings)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(value)}</td>" for value in row) + "</tr>" for row in rows
    )
    return f'<table class="facts"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
