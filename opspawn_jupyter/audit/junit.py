"""Verdicts as JUnit's XML, which continuous integration shows: a suite for each notebook, a case
for each light and each cell that was compared."""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree import ElementTree

from opspawn_jupyter.model.audit import Answer, CellVerdict, Lamp, Sameness, Verdict

_NOT_XML = re.compile(r"[^\t\n\r\x20-\uD7FF\uE000-\uFFFD\U00010000-\U0010FFFF]")


def document(verdicts: Sequence[Verdict]) -> str:
    """All of them in one file."""
    suites = ElementTree.Element("testsuites", name="opspawn audit")
    for verdict in verdicts:
        suites.append(_suite(verdict))
    ElementTree.indent(suites)
    body = ElementTree.tostring(suites, encoding="unicode")
    return f'<?xml version="1.0" encoding="utf-8"?>\n{body}\n'


def _suite(verdict: Verdict) -> ElementTree.Element:
    suite = ElementTree.Element("testsuite", name=verdict.notebook)
    for lamp in verdict.lamps:
        suite.append(_light(verdict, lamp))
    for cell in verdict.cells:
        if cell.stored is not None:
            suite.append(_cell(verdict, cell))
    cases = list(suite)
    suite.set("tests", str(len(cases)))
    suite.set("failures", str(sum(case.find("failure") is not None for case in cases)))
    suite.set("skipped", str(sum(case.find("skipped") is not None for case in cases)))
    suite.set("time", f"{sum(run.seconds for run in verdict.runs):.3f}")
    return suite


def _light(verdict: Verdict, lamp: Lamp) -> ElementTree.Element:
    case = _case(verdict, lamp.light.value)
    if lamp.answer is Answer.FAIL:
        _add(case, "failure", lamp.reason, "\n".join(lamp.evidence))
    elif lamp.answer is not Answer.PASS:
        _add(case, "skipped", f"{lamp.answer.value}: {lamp.reason}")
    return case


def _cell(verdict: Verdict, cell: CellVerdict) -> ElementTree.Element:
    case = _case(verdict, f"cell {cell.index}: {cell.title}")
    notes = "\n".join(f"{part.kind}: {'; '.join(part.notes)}" for part in cell.parts if part.notes)
    if cell.stored is Sameness.DIFFERENT:
        _add(case, "failure", "differs from the stored output", notes)
    elif cell.stored is Sameness.NOT_COMPARED:
        _add(case, "skipped", cell.exemption or notes or "not compared")
    return case


def _case(verdict: Verdict, name: str) -> ElementTree.Element:
    return ElementTree.Element("testcase", classname=_clean(verdict.notebook), name=_clean(name))


def _add(case: ElementTree.Element, tag: str, message: str, text: str = "") -> None:
    element = ElementTree.SubElement(case, tag, message=_clean(message))
    element.text = _clean(text)


def _clean(text: str) -> str:
    """Without the characters that XML cannot hold."""
    return _NOT_XML.sub("?", text)
