"""The same value in the spelling of a library's other version, and another value beside it."""

from __future__ import annotations

import pytest

from opspawn_jupyter.audit import text
from opspawn_jupyter.audit.rules import Rules
from opspawn_jupyter.model.audit import Sameness

_INFO = "RangeIndex: 3 entries, 0 to 2\nData columns (total 1 columns):\n{}\ndtypes: int64(1)"
_LEVELS = (
    "MultiIndex(levels=[['A', 'B'], [1, 2]],\n  codes=[[0, 0, 1], [0, 1, 0]],\n  names=['x', 'y'])"
)
_TUPLES = (
    "MultiIndex([('A', 1),\n            ('A', 2),\n            ('B', {})],\n  names=['x', 'y'])"
)
_NUMBERED = (
    " #   Column  Non-Null Count  Dtype\n---  ------  --------------  -----\n"
    " 0   a       {} non-null      int64"
)


@pytest.mark.parametrize(
    ("stored", "same", "other"),
    [
        (
            "white    4898\nred      1599\nName: kind, dtype: int64",
            "kind\nwhite    4898\nred      1599\nName: count, dtype: int64",
            "kind\nwhite    4898\nred      1598\nName: count, dtype: int64",
        ),
        (_LEVELS, _TUPLES.format(1), _TUPLES.format(2)),
        (
            _INFO.format("a    3 non-null int64"),
            _INFO.format(_NUMBERED.format(3)),
            _INFO.format(_NUMBERED.format(2)),
        ),
        (
            "Timestamp('2018-01-02 00:00:00', freq='D')",
            "Timestamp('2018-01-02 00:00:00')",
            "Timestamp('2018-01-03 00:00:00')",
        ),
        ("period[A-DEC]", "period[Y-DEC]", "period[Q-DEC]"),
        (
            "<a list of 10 Patch objects>",
            "<BarContainer object of 10 artists>",
            "<BarContainer object of 9 artists>",
        ),
        ("[<matplotlib.text.Text at 0x10a3ae610>]", "[Text(0.5, 0, 'x')]", "[Line(0.5, 0, 'x')]"),
    ],
)
def test_what_a_library_spells_anew_is_the_same_value(stored: str, same: str, other: str) -> None:
    """Each change was announced; what the spelling stands for still decides."""
    assert text.compare(stored, same, Rules()).sameness is Sameness.REPRESENTATION
    assert text.compare(stored, other, Rules()).sameness is Sameness.DIFFERENT


def test_of_a_progress_bar_only_how_far_it_came_is_compared() -> None:
    """Its width follows from the rate that is written beside it."""
    bar = " 11%|{}| {}/9 [00:00<00:{}, {}it/s]"
    stored = bar.format("███▍      ", 1, "00", "45.06")

    again = text.compare(stored, bar.format("███▎     ", 1, "01", "6.43"), Rules())
    farther = text.compare(stored, bar.format("███▎     ", 2, "01", "6.43"), Rules())

    assert (again.sameness, farther.sameness) == (Sameness.VOLATILE, Sameness.DIFFERENT)
