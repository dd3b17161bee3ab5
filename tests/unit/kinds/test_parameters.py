"""Declared parameters and the values given for them."""

from __future__ import annotations

from typing import Any

import pytest

from opspawn_jupyter import errors
from opspawn_jupyter.kinds import parameters, values

CELL = """
# what the report is about
region: str = "E#U"  # which region
year: int = 2026
share: float | None = None
names: list[str] = ["a"]
mode: Literal["fast", "slow"] = "fast"
scale = 3  # type: float
untyped = None
computed = default()
%matplotlib inline
flag = True
counts: "dict[str, int]" = {}
where: Path = Path(".")
a, b = 1, 2
"""


def declared() -> dict[str, Any]:
    return {parameter.name: parameter for parameter in parameters.declared(CELL)}


def test_types_come_from_annotation_comment_or_default() -> None:
    """One typed contract serves magic, form, CLI, REST and MCP."""
    types = {name: parameter.type for name, parameter in declared().items()}

    assert types == {
        "region": "str",
        "year": "int",
        "share": "float | None",
        "names": "list[str]",
        "mode": "Literal['fast', 'slow']",
        "scale": "float",
        "untyped": "Any",
        "computed": "Any",
        "flag": "bool",
        "counts": "'dict[str, int]'",
        "where": "Path",
    }


def test_a_hash_inside_a_string_is_no_comment() -> None:
    """papermill's own reading cuts such defaults."""
    region = declared()["region"]

    assert (region.default, region.help) == ("'E#U'", "which region")


def test_a_cell_that_does_not_parse_is_refused_with_its_line() -> None:
    """The notebook could not run either."""
    with pytest.raises(errors.InvalidRequest, match="line 2"):
        parameters.declared("a = 1\nb = = 2")


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("region", "007", "007"),
        ("region", "a=b", "a=b"),
        ("year", "2026", 2026),
        ("year", "-1", -1),
        ("share", "0.5", 0.5),
        ("share", "None", None),
        ("names", "['x', 'y']", ["x", "y"]),
        ("names", '["x"]', ["x"]),
        ("mode", "slow", "slow"),
        ("scale", "2", 2.0),
        ("untyped", "5", 5),
        ("untyped", "five", "five"),
        ("flag", "false", False),
        ("flag", "True", True),
        ("counts", '{"a": 1}', {"a": 1}),
        ("where", "/data", "/data"),
    ],
)
def test_typed_text_is_read_by_the_declared_type(name: str, text: str, value: Any) -> None:
    """A command line has only text; the notebook says what it means."""
    assert values.bind(declared().values(), {}, {name: text}) == {name: value}


@pytest.mark.parametrize(
    ("name", "value"),
    [("year", "2026"), ("year", 1.5), ("year", True), ("names", "x"), ("mode", "slowest")],
)
def test_a_json_value_must_fit_strictly(name: str, value: Any) -> None:
    """A program that sends the wrong type has a mistake that should be seen."""
    with pytest.raises(errors.ParameterInvalid, match=name):
        values.bind(declared().values(), {name: value}, {})


@pytest.mark.parametrize("text", ["abc", "1.5", ""])
def test_text_that_does_not_fit_is_refused_with_the_declaration(text: str) -> None:
    """The sentence must say what would have fitted."""
    with pytest.raises(errors.ParameterInvalid, match="year: int = 2026"):
        values.bind(declared().values(), {}, {"year": text})


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_json_lacks_are_refused(value: float) -> None:
    """They would make the journal unreadable for others."""
    with pytest.raises(errors.ParameterInvalid):
        values.bind(declared().values(), {"share": value}, {})


def test_unknown_parameters_are_refused_with_the_known_ones() -> None:
    """A misspelt parameter silently ignored gives a wrong report."""
    with pytest.raises(errors.ParameterUnknown, match=r"'regoin'.*region \(str\)"):
        values.bind(declared().values(), {}, {"regoin": "EU"})


def test_a_parameter_without_default_needs_a_value() -> None:
    """The run would fail on its first use."""
    required = parameters.declared("city: str")

    with pytest.raises(errors.ParameterMissing, match="city"):
        values.bind(required, {}, {})

    assert values.bind(required, {}, {"city": "Rome"}) == {"city": "Rome"}


def test_a_parameter_given_twice_is_refused() -> None:
    """Nobody can say which of the two was meant."""
    with pytest.raises(errors.ParameterInvalid, match="twice"):
        values.bind(declared().values(), {"year": 1}, {"year": "2"})


@pytest.mark.parametrize(
    "annotation", ["__import__('os').system('x')", "list[(1).__class__]", "int if 1 else str", "1"]
)
def test_annotations_are_never_evaluated(annotation: str) -> None:
    """A notebook is a stranger's file; the server only reads it."""
    (parameter,) = parameters.declared(f"x: {annotation} = 1")

    assert parameters.type_of(parameter) is Any
