"""Cells are transformed as IPython does it, but not more often than anybody can tell."""

from __future__ import annotations

from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell

from opspawn_jupyter.kernels.forking import once


@pytest.fixture
def shell() -> Any:
    """One that is no kernel's, and a note of what it was asked to transform."""
    made = InteractiveShell()
    usual, made.asked = made.transform_cell, []

    def noted(code: str) -> str:
        made.asked.append(code)
        return usual(code)

    made.transform_cell = noted
    once.install(made)
    made.usual = usual
    yield made
    made.history_manager.end_session()
    made.restore_sys_module_state()


@pytest.mark.parametrize("code", ["x = 1", "x = 1\n", "def f():\n    return 1\n\nf()"])
def test_plain_python_is_transformed_once(shell: Any, code: str) -> None:
    """ipykernel asks, and then IPython."""
    for _ in range(2):  # the same text may be run again
        once.expect(shell, code)
        assert [shell.transform_cell(code) for _ in range(2)] == [shell.usual(code)] * 2

    assert shell.asked == [code] * 2


@pytest.mark.parametrize("code", ["%time 1", "!ls", "  x = 1", "x?"])
def test_what_is_rewritten_is_rewritten_each_time(shell: Any, code: str) -> None:
    """IPython tells of some of it."""
    once.expect(shell, code)

    assert [shell.transform_cell(code) for _ in range(2)] == [shell.usual(code)] * 2
    assert shell.asked == [code] * 2


def test_transformers_of_the_users_see_what_they_always_see(shell: Any) -> None:
    """They may count."""
    shell.input_transformers_post.append(lambda lines: [*lines, "pass\n"])
    once.expect(shell, "x = 1")

    assert [shell.transform_cell("x = 1") for _ in range(2)] == ["x = 1\npass\n"] * 2
    assert shell.asked == ["x = 1"] * 2


def test_code_that_is_run_within_a_cell_is_its_own(shell: Any) -> None:
    """``get_ipython().run_cell`` of whatever."""
    once.expect(shell, "x = 1")
    shell.transform_cell("x = 1")

    assert shell.transform_cell("y = 2") == "y = 2\n"
    assert shell.asked == ["x = 1", "y = 2"]
