"""Tools that a notebook's own code names."""

from __future__ import annotations

import pytest

from opspawn_jupyter.kinds.tools_used import tools_used
from opspawn_jupyter.model.tool import Principal


def _used(*sources: str) -> tuple[str, ...]:
    return tools_used({"cells": [{"cell_type": "code", "source": one} for one in sources]})


def test_calls_are_found_under_whatever_name_and_in_any_cell() -> None:
    first = "%load_ext opspawn_jupyter\nfrom opspawn_jupyter import mcp as tools, step"
    second = "x = [tools.time.convert(t) for t in y]\ntools['my-files']['read'](path='x')"
    assert _used(first, second) == ("my-files.read", "time.convert")


@pytest.mark.parametrize(
    "source",
    ["mcp.time.convert()", "from other import mcp\nmcp.a.b()", "from opspawn_jupyter import", "1"],
)
def test_what_is_no_call_of_ours_counts_for_nothing(source: str) -> None:
    assert _used(source) == ()


def test_an_underscore_stands_for_letters_that_python_has_not() -> None:
    """``mcp.my_files.read_all`` is how the tool ``read-all`` of ``my-files`` is written."""
    (pattern,) = _used("from opspawn_jupyter import mcp\nmcp.my_files.read_all()")
    caller = Principal(user="me", tools=(pattern,))
    assert caller.may_use("my-files", "read-all")
    assert caller.may_use("my_files", "read_all")
    assert not caller.may_use("myxfiles", "read_all")
