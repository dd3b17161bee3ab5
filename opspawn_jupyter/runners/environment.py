"""``environment.json``: what a task ran with."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from importlib import metadata
from pathlib import Path
from typing import Any

from opspawn_jupyter import files
from opspawn_jupyter.runners.kernel import Kernel


async def record(kernel: Kernel, target: Path) -> None:
    """Write down what the kernel runs with. No environment variables: they hold secrets."""
    spec = kernel.spec
    facts = {
        "name": kernel.name,
        "display_name": spec.display_name,
        "language": spec.language,
        "language_version": kernel.info.get("language_info", {}).get("version"),
        "implementation": kernel.info.get("implementation"),
        "implementation_version": kernel.info.get("implementation_version"),
        "argv": list(spec.argv),
    }
    of, paths = _paths(facts["argv"][0])
    text = partial(_text, json.dumps(facts), of, paths)
    is_known = paths == tuple(sys.path)
    files.write_atomic(target, text() if is_known else await asyncio.to_thread(text))


def _text(facts: str, of: str, paths: tuple[str, ...]) -> bytes:
    """The whole record, made once for as long as nothing of it changes."""
    return _text_as_of(facts, of, paths, _stamps(paths))


@lru_cache(maxsize=4)
def _text_as_of(facts: str, of: str, paths: tuple[str, ...], stamps: tuple[int, ...]) -> bytes:
    """Most of it is the list of what is installed, which stands in the records of all kernels."""
    packages = _listed(paths, stamps)
    text = files.json_bytes(_described(json.loads(facts), of, None, packages.sha256))
    return text.replace(b'"distributions": null', b'"distributions": ' + packages.text, 1)


def describe(kernel: Mapping[str, Any]) -> dict[str, Any]:
    """The whole record.

    ``distributions`` are those of the kernel where it is a Python whose packages can be found,
    else those of the process that runs papermill; ``distributions_of`` tells which.
    """
    of, paths = _paths(kernel["argv"][0])
    return _described(kernel, of, distributions(paths), listed(paths).sha256)


def _described(
    kernel: Mapping[str, Any], of: str, packages: Mapping[str, str] | None, sha256: str
) -> dict[str, Any]:
    return {
        "python": {
            "version": platform.python_version(),
            "implementation": platform.python_implementation(),
            "executable": sys.executable,
        },
        "platform": {"system": platform.platform(), "machine": platform.machine()},
        "kernel": dict(kernel),
        "distributions_of": of,
        "distributions": packages,
        "distributions_sha256": sha256,
    }


def _paths(program: str) -> tuple[str, tuple[str, ...]]:
    """Whose packages are told, and where they lie. Those of this process are known already."""
    name = os.path.basename(program)  # noqa: PTH119  for each run, and paths are slow
    if not name.startswith("python"):
        return "runner", tuple(sys.path)
    if program in (name, sys.executable):
        return "kernel", tuple(sys.path)
    prefix = Path(program).parent.parent
    return "kernel", tuple(str(path) for path in sorted(prefix.glob("lib/python3*/site-packages")))


def distributions(paths: tuple[str, ...]) -> dict[str, str]:
    """Version by name of what is installed on these paths, sorted by name."""
    return dict(_distributions(paths, _stamps(paths)))


@dataclass(frozen=True, kw_only=True)
class Listed:
    """What is installed, as the record has it."""

    text: bytes
    sha256: str


def listed(paths: tuple[str, ...]) -> Listed:
    """What is installed on these paths."""
    return _listed(paths, _stamps(paths))


@lru_cache(maxsize=4)
def _listed(paths: tuple[str, ...], stamps: tuple[int, ...]) -> Listed:
    packages = dict(_distributions(paths, stamps))
    # One level below the record's: no line of it begins within a text.
    text = files.json_bytes(packages).rstrip().replace(b"\n", b"\n ")
    sorted_text = json.dumps(packages, sort_keys=True)
    return Listed(text=text, sha256=hashlib.sha256(sorted_text.encode()).hexdigest())


def _stamps(paths: tuple[str, ...]) -> tuple[int, ...]:
    """Others once something is installed there."""
    return tuple(_modified(path) for path in paths)


def _modified(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns  # noqa: PTH116  for each run, and paths are slow
    except OSError:
        return 0


@lru_cache(maxsize=4)
def _distributions(paths: tuple[str, ...], _stamps: tuple[int, ...]) -> tuple[tuple[str, str], ...]:
    """Read once for as long as nothing is installed there: it takes 0.1 s."""
    found = metadata.distributions(path=list(paths))
    named = {dist.metadata["Name"]: dist.version for dist in found if dist.metadata["Name"]}
    return tuple(sorted(named.items(), key=lambda item: item[0].lower()))
