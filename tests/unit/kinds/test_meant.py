"""Which name was meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from opspawn_jupyter import errors
from opspawn_jupyter.kinds.meant import meant, notebook_beside
from opspawn_jupyter.kinds.values import bind
from opspawn_jupyter.model.notebook import Parameter


def test_a_slip_of_the_finger_is_guessed_and_anything_else_is_not() -> None:
    """A wrong guess sends people the wrong way."""
    assert meant("yaer", ["island", "year"]) == "did you mean 'year'? "
    assert meant("colour", ["island", "year"]) == ""
    assert meant("y" * 10_000, ["y" * 9_999]) == ""


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("reprot.ipynb", "there is 'report.ipynb'"),
        ("report.ipyn", "there is 'report.ipynb'"),
        ("notes.ipynb", ""),  # only the suffix is alike
        ("none/report.ipynb", ""),
        (f"{'r' * 300}.ipynb", ""),
    ],
)
def test_a_notebook_of_nearly_this_name_is_told(tmp_path: Path, given: str, said: str) -> None:
    """The usual reason why there is no notebook is its spelling."""
    for name in ("report.ipynb", "data.csv", "zoo.ipynb"):
        (tmp_path / name).touch()

    assert notebook_beside(tmp_path / given) == said


def test_one_wrong_parameter_is_guessed_and_several_are_each_for_itself() -> None:
    """A guess for one of three would stand in a sentence about all of them."""
    declared = [Parameter(name=name, type="int", default="1") for name in ("year", "island")]

    with pytest.raises(errors.ParameterUnknown, match=r"'yaer'; did you mean 'year'\? it decl"):
        bind(declared, {"yaer": 1}, {})
    with pytest.raises(errors.ParameterUnknown, match=r"'yaer, iland'; it declares") as both:
        bind(declared, {"yaer": 1, "iland": 2}, {})

    assert "did you mean 'island'?" in both.value.detail["fields"]["iland"]
