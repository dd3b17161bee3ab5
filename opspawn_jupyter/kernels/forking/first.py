"""What a fork does before anything else.

Modules have something done in each fork: locks are made anew, random numbers begin anew. Python
calls that in the order in which it was asked for, so this module is the first to be imported.
"""

from __future__ import annotations

import os
from collections.abc import Callable

_begins: list[Callable[[], object]] = []


def fork(begin: Callable[[], object] | None) -> int:
    """As ``os.fork``, but the child begins with this."""
    _begins[:] = [] if begin is None else [begin]
    pid = os.fork()
    _begins.clear()
    return pid


def _begin() -> None:
    for begin in _begins:
        begin()


os.register_at_fork(after_in_child=_begin)
