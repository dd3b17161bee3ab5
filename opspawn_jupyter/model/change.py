"""Records with other values."""

from __future__ import annotations

from typing import Any, TypeVar

T = TypeVar("T")


def changed(record: T, **changes: Any) -> T:
    """As ``dataclasses.replace``, several times as fast: every event of every task passes here.

    For records that are frozen, without slots, and that neither check nor compute anything when
    they are made.
    """
    made: T = object.__new__(type(record))
    vars(made).update(vars(record), **changes)
    return made
