"""Templates: values, and nothing that runs."""

from __future__ import annotations

from typing import Any

import pytest

from opspawn_jupyter.model import template
from opspawn_jupyter.model.expression import TemplateError

SCOPE: dict[str, Any] = {
    "tasks": {"load-it": {"outputs": {"rows": [1, 2, {"k": "v"}], "n": 5}}},
    "parameters": {"year": 2026},
    "item": None,
}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("plain", "plain"),
        ("${{ tasks.load-it.outputs.n }}", 5),
        ("${{ tasks.load-it.outputs.rows }}", [1, 2, {"k": "v"}]),
        ("${{ tasks.load-it.outputs.rows[2].k }}", "v"),
        ("in ${{ parameters.year }}: ${{ tasks.load-it.outputs.rows[0] }}", "in 2026: 1"),
        ("${{ '}}' }}", "}}"),
        ("${{ parameters.year - 1 if len(tasks.load-it.outputs.rows) > 2 else null }}", 2025),
        ("${{ parameters['year'] in [2025, 2026] and not false }}", True),
    ],
)
def test_a_template_is_its_value(text: str, value: Any) -> None:
    """A whole template keeps its type; within text it becomes text."""
    assert template.resolve(text, SCOPE) == value
    assert template.resolve({"a": [text]}, SCOPE) == {"a": [value]}


@pytest.mark.parametrize(
    "expression",
    [
        "__import__('os').system('true')",
        "().__class__.__bases__",
        "parameters.__class__",
        "tasks.keys()",
        "[x for x in parameters]",
        "lambda: 1",
        "f'{parameters}'",
        "9**9**9",
        "'a' * 10000000",
        "(" * 300 + "1" + ")" * 300,
        "parameters.nothing",
        "tasks.gone.outputs.n",
        "1 / 0",
        "not " * 400 + "1",
        "",
        "1 +",
        "x" * 3000,
        "tasks" + ".a" * 900,
        "-" * 900 + "1",
        "[" * 150 + "1" + "]" * 150,
    ],
)
def test_nothing_else_has_a_value(expression: str) -> None:
    """A workflow's text comes from anywhere; it must not be able to run code in the server."""
    with pytest.raises(TemplateError):
        template.resolve("${{ " + expression + " }}", SCOPE)


@pytest.mark.parametrize(
    "expression",
    [
        "().__class__",
        "'a'.join(parameters)",
        "9**9**9",
        "'a' * 10000000",
        "tasks" + ".a" * 900,
        "[x for x in parameters]",
    ],
)
def test_what_is_refused_whatever_the_values_is_refused_before_the_run(expression: str) -> None:
    """Not in the middle of the night, in the last of the steps."""
    with pytest.raises(TemplateError):
        list(template.references("${{ " + expression + " }}"))


def test_a_text_full_of_openings_is_refused_quickly() -> None:
    """A search that tries every end for every beginning would hang."""
    with pytest.raises(TemplateError):
        template.resolve("${{ '" * 50_000, SCOPE)


def test_references_are_found_without_values() -> None:
    """What a template names is a dependency, known before the run."""
    found = set(template.references({"x": ["${{ tasks.a-b.outputs.n + parameters.k }}"]}))

    assert found == {("tasks", "a-b", "outputs", "n"), ("parameters", "k")}


@pytest.mark.parametrize(
    ("condition", "holds"),
    [("parameters.year > 2000", True), ("${{ false }}", False), ("x is ${{ null }}", True)],
)
def test_a_condition_may_come_without_braces(condition: str, holds: bool) -> None:
    """It is an expression anyway."""
    assert template.is_true(condition, SCOPE) is holds
