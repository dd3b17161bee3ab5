"""What the observer saw, sorted: the project's own files, the environment, and what is neither."""

from __future__ import annotations

import fnmatch
import json
import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

#: What the system is made of.
_SYSTEM = ("/usr", "/lib", "/lib64", "/etc", "/proc", "/sys", "/dev", "/bin", "/sbin", "/run",
           "/var/lib", "/var/cache")  # fmt: skip
#: Settings and caches of programs under the home directory, which hold nobody's data.
_OWN_HABITS = (
    ".ipython", ".jupyter", ".config", ".local", ".matplotlib", ".fonts", ".fontconfig",
    ".cache/matplotlib", ".cache/fontconfig", ".cache/pip", ".cache/jedi", ".cache/numba",
    ".pydistutils.cfg", ".netrc", ".inputrc", ".python_history",
)  # fmt: skip
#: Programs that libraries ask about the machine.
_ASKING = frozenset({"uname", "fc-list", "fc-match", "ldconfig", "gcc", "cc", "ld", "objdump",
                     "lsb_release", "lscpu", "nproc", "file", "locale"})  # fmt: skip
_LOOPBACK = ("127.", "::1", "localhost", "0.0.0.0", "None:", ":")  # noqa: S104  # no binding


@dataclass(frozen=True, kw_only=True)
class Allowed:
    """What the project's rules declare beyond the project: patterns as of a shell."""

    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    network: tuple[str, ...] = ()
    processes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Observed:
    """What a run did beyond its project and environment."""

    #: The observer was there.
    is_known: bool = False
    #: Files of the project that were read.
    inputs: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    network: tuple[str, ...] = ()
    processes: tuple[str, ...] = ()

    @property
    def is_contained(self) -> bool:
        """Nothing came from or went to the outside."""
        return not (self.reads or self.writes or self.network or self.processes)


@dataclass(frozen=True, kw_only=True)
class Grounds:
    """Where a run may move freely, and where not. Paths absolute."""

    #: The copy of the project that it ran in.
    workspace: Path
    #: The project itself, which no run has any business in.
    original: Path
    #: As the kernel's Python described it.
    environment: Mapping[str, Any] = field(default_factory=dict)
    allowed: Allowed = field(default_factory=Allowed)


def observed(trace: Path, grounds: Grounds) -> Observed:
    """Read one run's trace."""
    workspace, allowed = grounds.workspace, grounds.allowed
    events = _read(trace)
    own = [*_prefixes(grounds.environment), *_SYSTEM, *_habits(), *_temporary()]
    files = {"read": set[str](), "write": set[str]()}
    inputs: set[str] = set()
    for kind, what in events:
        if kind not in files or not what:
            continue
        if _is_within(what, str(workspace)):
            if kind == "read":
                inputs.add(os.path.relpath(what, workspace))
        elif _is_within(what, str(grounds.original)) or not any(
            _is_within(what, top) for top in own
        ):
            files[kind].add(what)
    return Observed(
        is_known=bool(events),
        inputs=tuple(sorted(one for one in inputs if (workspace / one).is_file())),
        reads=_but(_existing(files["read"]), allowed.reads),
        writes=_but(files["write"], allowed.writes),
        network=_but(_calls(events), allowed.network),
        processes=_but(_programs(events), allowed.processes),
    )


def _read(trace: Path) -> list[tuple[str, str]]:
    try:
        lines = trace.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []
    found = []
    for line in lines:
        try:
            kind, what = json.loads(line)
        except ValueError:  # a process was killed while it wrote
            continue
        found.append((str(kind), str(what)))
    return found


def _existing(paths: Iterable[str]) -> set[str]:
    """Without what was only looked for."""
    return {path for path in paths if Path(path).is_file()}


def _prefixes(environment: Mapping[str, Any]) -> list[str]:
    return [str(one) for one in environment.get("paths", []) if one]


def _habits() -> list[str]:
    home = Path.home()
    return [str(home / name) for name in _OWN_HABITS]


def _temporary() -> list[str]:
    return sorted({tempfile.gettempdir(), "/tmp", "/var/tmp"})  # noqa: S108  # compared only


def _is_within(path: str, top: str) -> bool:
    return path == top or path.startswith(top.rstrip("/") + "/")


def _calls(events: Sequence[tuple[str, str]]) -> set[str]:
    return {what for kind, what in events if kind == "network" and not what.startswith(_LOOPBACK)}


def _programs(events: Sequence[tuple[str, str]]) -> set[str]:
    programs = {what for kind, what in events if kind == "process"}
    return {one for one in programs if one and Path(one.split()[0]).name not in _ASKING}


def _but(found: set[str], patterns: Sequence[str]) -> tuple[str, ...]:
    """Sorted, without what is declared."""
    return tuple(sorted(one for one in found if not any(fnmatch.fnmatch(one, p) for p in patterns)))
