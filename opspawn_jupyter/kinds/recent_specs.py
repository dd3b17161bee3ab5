"""Kernelspecs as they were a moment ago."""

from __future__ import annotations

import time
from collections.abc import Mapping
from threading import Lock
from typing import Any

from opspawn_jupyter.kinds.kernel_specs import KernelSpecs

#: Somebody who installs a kernel and then submits to it takes longer.
_SECONDS = 0.5


class RecentSpecs:
    """Reads them again only after half a second: Jupyter reads a dozen directories each time, and
    a workflow of a thousand steps asks a thousand times."""

    def __init__(self, read: KernelSpecs) -> None:
        self._read = read
        self._lock = Lock()
        self._specs: Mapping[str, Any] = {}
        self._until = 0.0

    def __call__(self) -> Mapping[str, Any]:
        """By name, as ``KernelSpecManager.get_all_specs`` gives them."""
        with self._lock:
            if time.monotonic() >= self._until:
                self._specs = self._read()
                self._until = time.monotonic() + _SECONDS
            return self._specs
