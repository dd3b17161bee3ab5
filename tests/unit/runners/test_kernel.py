"""What a kernel is given, without starting one."""

from __future__ import annotations

import pytest

from opspawn_jupyter.runners.kernel import death


@pytest.mark.parametrize(
    ("code", "words"), [(-9, "SIGKILL; where"), (-11, "killed by SIGSEGV."), (3, "with code 3.")]
)
def test_a_death_is_named(code: int, words: str) -> None:
    """A signal says more than minus nine."""
    assert words in str(death(code))
