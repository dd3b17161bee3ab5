"""Which kernels are installed: read anew for each submission, and once for the steps of a workflow.

Reading them takes files, and thousands of steps ask the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

#: Kernelspecs by name, as ``KernelSpecManager.get_all_specs`` gives them.
KernelSpecs = Callable[[], Mapping[str, Any]]

_KEPT: ContextVar[dict[KernelSpecs, Mapping[str, Any]] | None] = ContextVar("kept", default=None)


@contextmanager
def read_once() -> Iterator[None]:
    """Within this block what was read stays as it is."""
    if _KEPT.get() is not None:
        yield
        return
    token = _KEPT.set({})
    try:
        yield
    finally:
        _KEPT.reset(token)


def installed(read: KernelSpecs) -> Mapping[str, Any]:
    """The kernelspecs."""
    kept = _KEPT.get()
    if kept is None:
        return read()
    if read not in kept:
        kept[read] = read()
    return kept[read]
