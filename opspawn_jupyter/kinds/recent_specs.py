"""Kernelspecs as they are, without reading all of them each time."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import Any

from jupyter_core.paths import jupyter_path

from opspawn_jupyter.kinds.kernel_specs import KernelSpecs

#: Somebody who installs a kernel and then submits to it takes longer.
_SECONDS = 0.5
#: A manager of kernels may have other sources than files that Jupyter knows.
_LONGEST_SECONDS = 10.0
#: What an ordinary handler takes.
_QUICK_SECONDS = 0.002


class RecentSpecs:
    """Reads them again only where a directory or a file of theirs has changed, and looks for that
    only after half a second: Jupyter reads a dozen directories each time, and a workflow of a
    thousand steps asks a thousand times."""

    def __init__(self, read: KernelSpecs) -> None:
        self._read = read
        self._lock = Lock()
        self._specs: Mapping[str, Any] = {}
        self._places: Sequence[str] = ()
        self._changed_at: Sequence[int] = ()
        self._look_at = 0.0
        self._read_at = 0.0
        self._took_seconds = _LONGEST_SECONDS

    @property
    def is_quick(self) -> bool:
        """Whether they are had in a moment: they are as they were, or were read in one."""
        if self._lock.locked():
            return False
        return self._took_seconds <= _QUICK_SECONDS or self._is_as_read(time.monotonic())

    def __call__(self) -> Mapping[str, Any]:
        """By name, as ``KernelSpecManager.get_all_specs`` gives them."""
        with self._lock:
            now = time.monotonic()
            if not self._is_as_read(now):
                self._specs = self._read()
                self._places = _places(self._specs)
                self._changed_at = _changed_at(self._places)
                self._read_at = now + _LONGEST_SECONDS
                self._look_at = now + _SECONDS
                self._took_seconds = time.monotonic() - now
            return self._specs

    def _is_as_read(self, now: float) -> bool:
        """As far as one need look."""
        if now < self._look_at:
            return True
        if now >= self._read_at or self._changed_at != _changed_at(self._places):
            return False
        self._look_at = now + _SECONDS
        return True


def _places(specs: Mapping[str, Any]) -> Sequence[str]:
    """Where specs come from, and where others may come."""
    homes = [Path(spec["resource_dir"]) for spec in specs.values() if "resource_dir" in spec]
    around = [*map(Path, jupyter_path("kernels")), *(home.parent for home in homes)]
    return [str(place) for place in (*around, *(home / "kernel.json" for home in homes))]


def _changed_at(places: Sequence[str]) -> Sequence[int]:
    return [_mtime(place) for place in places]


def _mtime(place: str) -> int:
    try:
        return os.stat(place).st_mtime_ns  # noqa: PTH116  to make a path of it takes longer
    except OSError:
        return 0
