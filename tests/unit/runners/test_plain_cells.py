"""Cells as plain Python, without a kernel."""

from __future__ import annotations

import pytest
from IPython.core.formatters import DisplayFormatter

from opspawn_jupyter.runners.plain_cells import PlainCells, is_clean_exit


def test_cells_share_their_names_and_the_last_expression_is_shown() -> None:
    cells = PlainCells(1000)

    assert cells.run("a = 20\nprint('x')", 1)[0] == [
        {"output_type": "stream", "name": "stdout", "text": "x\n"}
    ]
    outputs, raised = cells.run("b = 22\na + b", 2)

    assert raised is None
    assert (outputs[0]["data"], outputs[0]["execution_count"]) == ({"text/plain": "42"}, 2)


@pytest.mark.parametrize("source", ["3", "-2.5", "10**30", "True", "1e300 * 10", "0.1 + 0.2"])
def test_a_number_is_shown_as_ipython_shows_it(source: str) -> None:
    """It is not asked for them."""
    outputs, _ = PlainCells(1000).run(source, 1)

    shown = DisplayFormatter().format(eval(source))  # type: ignore[no-untyped-call]
    assert (outputs[0]["data"], outputs[0]["metadata"]) == shown


def test_a_cell_that_was_run_before_runs_anew() -> None:
    """What is kept of it is its code alone."""
    cells = PlainCells(1000)

    for expected in ("1", "2"):
        outputs, _ = cells.run("count = globals().get('count', 0) + 1\ncount", 1)
        assert outputs[0]["data"] == {"text/plain": expected}


def test_text_of_both_streams_keeps_its_order() -> None:
    source = "import sys\nprint(1)\nprint(2)\nprint(3, file=sys.stderr)\nprint(4)"

    outputs, _ = PlainCells(1000).run(source, 1)

    assert [(one["name"], one["text"]) for one in outputs] == [
        ("stdout", "1\n2\n"),
        ("stderr", "3\n"),
        ("stdout", "4\n"),
    ]


def test_what_is_raised_is_an_error_that_begins_in_the_cell() -> None:
    """Frames of ours would only hide where it went wrong."""
    outputs, raised = PlainCells(1000).run("print('before')\n1 / 0", 3)

    assert isinstance(raised, ZeroDivisionError)
    error = outputs[-1]
    assert (error["ename"], error["evalue"]) == ("ZeroDivisionError", "division by zero")
    assert '"<cell 3>", line 2' in error["traceback"][1]


@pytest.mark.parametrize(
    ("source", "name", "words"),
    [
        ("raise KeyboardInterrupt", "KeyboardInterrupt", ""),
        ("import asyncio\nraise asyncio.CancelledError('x')", "CancelledError", "x"),
        (
            "class E(Exception):\n    def __str__(self): raise ValueError\nraise E",
            "E",
            "<exception str() failed>",
        ),
    ],
)
def test_whatever_is_raised_is_the_cells_own_failure(source: str, name: str, words: str) -> None:
    """It ended the process, as if that had crashed."""
    outputs, raised = PlainCells(1000).run(source, 1)

    assert type(raised).__name__ == name
    assert (outputs[-1]["ename"], outputs[-1]["evalue"]) == (name, words)


def test_a_cell_that_is_no_python_is_its_own_failure() -> None:
    outputs, raised = PlainCells(1000).run("a b", 1)

    assert isinstance(raised, SyntaxError)
    assert outputs[-1]["ename"] == "SyntaxError"


def test_to_end_without_a_code_is_no_failure() -> None:
    for source, is_clean in (("exit_ = __import__('sys').exit; exit_()", True),
                             ("__import__('sys').exit(3)", False)):  # fmt: skip
        raised = PlainCells(1000).run(source, 1)[1]
        assert raised is not None
        assert is_clean_exit(raised) is is_clean


def test_output_without_end_is_cut_and_says_so() -> None:
    """It would fill the notebook and the disk."""
    outputs, _ = PlainCells(10).run("for _ in range(1000): print('xxxx')", 1)

    assert outputs[0]["text"] == "xxxx\nxxxx\n\n[more output was left out]\n"
