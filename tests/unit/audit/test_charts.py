"""Charts that a script draws: their data decide, not the looks of a library's version."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

import pytest

from opspawn_jupyter.audit import charts
from opspawn_jupyter.audit.comparison import Executions, compare
from opspawn_jupyter.audit.rules import Rules
from opspawn_jupyter.model.audit import Sameness
from tests.unit.audit.notebooks import code, display


def altair(*, version: int = 4, value: float = 2.0, mark: str = "bar") -> str:
    """A page as Altair writes it. The table's name is made from the table, and its version's."""
    name = f"data-{version:032x}"
    spec = {
        "config": {"view": {"continuousWidth": 100 * version}},
        "data": {"name": name},
        "mark": mark,
        "encoding": {"x": {"field": "a", "type": "quantitative"}},
        "$schema": f"https://vega.github.io/schema/vega-lite/v{version}.8.1.json",
        "datasets": {name: [{"a": 1.5}, {"a": value}]},
    }
    script = f'(function(spec, opt){{ }})({json.dumps(spec)}, {{"mode": "vega-lite"}});'
    return f'<div id="altair-viz-{version}"></div><script>{script}</script>'


def sameness(stored: str, fresh: str) -> Sameness:
    left, right = ({"cells": [code("x", display(text_html=one))]} for one in (stored, fresh))
    (cell,) = compare(Executions(stored=left, control=right), Rules())
    assert cell.stored is not None
    return cell.stored


@pytest.mark.parametrize(
    ("fresh", "expected"),
    [
        ({}, Sameness.IDENTICAL),
        ({"version": 5}, Sameness.REPRESENTATION),
        ({"value": 2.5}, Sameness.DIFFERENT),
        ({"version": 5, "value": 2.5}, Sameness.DIFFERENT),
        ({"mark": "line"}, Sameness.DIFFERENT),
        ({"version": 5, "mark": "line"}, Sameness.NOT_COMPARED),
    ],
)
def test_a_chart_in_a_script_is_compared_by_what_it_is_drawn_from(
    fresh: dict[str, Any], expected: Sameness
) -> None:
    """What is said in another version of a language can be the same, and nobody can tell."""
    assert sameness(altair(), altair(**fresh)) is expected


def test_numbers_that_plotly_packs_are_the_numbers() -> None:
    """Since its version 6; a number that is another one is found in there."""
    packed = base64.b64encode(struct.pack("<3d", 1.0, 2.0, 4.0)).decode()
    old, new, other = (
        {"data": [{"type": "bar", "y": y}], "layout": {"template": template}}
        for y, template in (
            ([1.0, 2.0, 4.0], {"looks": 1}),
            ({"dtype": "f8", "bdata": packed}, {"looks": 2}),
            ([1.0, 2.0, 4.5], {"looks": 1}),
        )
    )

    assert charts.compare([old], [new], Rules()).sameness is Sameness.REPRESENTATION
    assert charts.compare([new], [other], Rules()).sameness is Sameness.DIFFERENT


def test_a_script_without_a_chart_is_not_judged() -> None:
    """Widgets that draw themselves: their options are no results."""
    page = "<div></div><script>start({%s})</script>"

    assert sameness(page % '"a": 1', page % '"a": 2') is Sameness.NOT_COMPARED


def test_what_only_looks_like_json_costs_no_time() -> None:
    """Each of many opened brackets may be read to the end of the page once, and no more."""
    assert charts.embedded('{"a": [' * 20_000) == []
