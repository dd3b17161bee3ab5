"""What a process gives its children, apart from its environment.

A kernel must not get more than its client has: a fork server is shared only by clients with the
same limits, processors, user, groups, capabilities, control group and namespaces.
"""

from __future__ import annotations

import os
from pathlib import Path

_SELF = Path("/proc/self")
_NAMESPACES = ("cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts")
_STATUS = (
    "CapBnd",
    "CapEff",
    "Cpus_allowed",
    "Gid",
    "Groups",
    "Mems_allowed",
    "NoNewPrivs",
    "Seccomp",
    "Uid",
    "Umask",
)


def fingerprint() -> tuple[str, ...]:
    """Equal for processes whose children would be alike."""
    return (
        *(_namespace(name) for name in _NAMESPACES),
        *(line for line in _read("status").splitlines() if line.partition(":")[0] in _STATUS),
        _read("cgroup"),
        _read("limits"),
        str(os.getpriority(os.PRIO_PROCESS, 0)),
    )


def _read(name: str) -> str:
    try:
        return (_SELF / name).read_text()
    except FileNotFoundError:  # a kernel without this feature
        return ""


def _namespace(name: str) -> str:
    try:
        return str((_SELF / "ns" / name).readlink())
    except FileNotFoundError:
        return ""
