"""Kernelspecs as jupyter_client finds them, looked for again only where they may have changed."""

from __future__ import annotations

import os
from functools import lru_cache
from typing import Any

from jupyter_client.kernelspec import KernelSpecManager

#: What tells jupyter_client where they lie.
_VARIABLES = (
    "HOME", "IPYTHONDIR", "JUPYTER_DATA_DIR", "JUPYTER_NO_CONFIG", "JUPYTER_PATH",
    "JUPYTER_PLATFORM_DIRS", "JUPYTER_PREFER_ENV_PATH", "XDG_DATA_HOME",
)  # fmt: skip


def find(name: str) -> Any:
    """The kernelspec of this name; the same object as long as it is the same. Raises
    ``NoSuchKernel``."""
    return _found(name, _stamps(name))


@lru_cache(maxsize=16)
def _found(name: str, _stamps: tuple[int, ...]) -> Any:
    return KernelSpecManager().get_kernel_spec(name)


def _stamps(name: str) -> tuple[int, ...]:
    """Others once a directory of that name came or went, or what is in it was changed."""
    return tuple(
        _changed_at(path)
        for place in _places(tuple(map(os.environ.get, _VARIABLES)))
        for path in (place, f"{place}/{name}", f"{place}/{name}/kernel.json")
    )


@lru_cache(maxsize=4)
def _places(_variables: tuple[str | None, ...]) -> tuple[str, ...]:
    """Where kernelspecs lie."""
    return tuple(KernelSpecManager().kernel_dirs)


def _changed_at(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns  # noqa: PTH116  a path object costs more than this
    except OSError:
        return 0
