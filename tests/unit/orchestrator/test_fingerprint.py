"""What counts as a change of a step's source, and what does not."""

from __future__ import annotations

import json

import pytest

from opspawn_jupyter.orchestrator.workflow.fingerprint import source
from opspawn_jupyter.ports import Prepared


def _digest(
    *cells: str, note: str = "", outputs: tuple[object, ...] = (), language: str = "python"
) -> str:
    """Of a notebook with these cells of code below a note."""
    found = [{"cell_type": "markdown", "source": note}]
    found += [{"cell_type": "code", "source": cell, "outputs": outputs} for cell in cells]
    content = json.dumps({"cells": found}).encode()
    files = {"input.ipynb": content}
    return source(None, "notebook", Prepared(name="n", spec={"language": language}, files=files))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("x = 1", "# the first\nx = 1  # one\n"),
        ("x = [1, 2]", "x = [\n    1,\n\n    2,\n]"),
        ("%matplotlib inline\nx = 1", "%matplotlib inline\n# a picture\nx = 1"),
    ],
)
def test_comments_and_layout_are_no_source(before: str, after: str) -> None:
    """Who explains a line must not wait for an hour of training again."""
    assert _digest(before) == _digest(after)


def test_outputs_and_text_are_no_source() -> None:
    """A notebook that was run by hand says the same as before."""
    ran = ({"output_type": "stream", "name": "stdout", "text": "1"},)
    assert _digest("print(1)") == _digest("print(1)", note="# Title", outputs=ran)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("x = 1", "x = 2"),
        ("'''# a'''", "'''# b'''"),
        ("%matplotlib inline\nx = 1", "%matplotlib agg\nx = 1"),
        ("%cd a\nx = '''\n# a\n'''", "%cd a\nx = '''\n# b\n'''"),
        ("%%writefile page.md\n# A", "%%writefile page.md\n# B"),
        ("%%bash\nif a; then\n  b\nfi", "%%bash\nif a; then\nb\n  fi"),
        ("!echo a\nx = 1", "x = 1\n!echo a"),
        ("x <- '# a'", "x <- '# b'"),
    ],
)
def test_what_may_change_the_result_is_source(before: str, after: str) -> None:
    """A result that is taken over wrongly is worse than one that is computed twice: where the
    text is not Python, all of it counts."""
    assert _digest(before) != _digest(after)


def test_the_order_of_cells_is_source() -> None:
    """Cells are run from the top."""
    assert _digest("x = 1", "x = 2") != _digest("x = 2", "x = 1")


def test_another_language_is_not_read_as_python() -> None:
    """This one would even parse: a shift of two names, and a comment."""
    before, after = "cat <<E\n# a\nE", "cat <<E\n# b\nE"
    assert _digest(before, language="bash") != _digest(after, language="bash")
