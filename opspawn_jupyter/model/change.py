"""Records with other values."""

from __future__ import annotations

from typing import Any, TypeVar

T = TypeVar("T")

_set = object.__setattr__


def changed(record: T, **changes: Any) -> T:
    """As ``dataclasses.replace``, several times as fast: every event of every task passes here.

    For records that are frozen, without slots, and that neither check nor compute anything when
    they are made.
    """
    made: T = object.__new__(type(record))
    held = vars(record).copy()
    held.update(changes)
    _set(made, "__dict__", held)
    return made
