"""What the system shows of a process: its command line and environment as they were at its start.

Both lie in the process's own memory (proc(5), ``arg_start`` to ``env_end`` of ``/proc/self/stat``),
and a fork has its parent's. A kernel writes its own over them, so that ``ps`` tells what it is and
whoever looks for a run's processes by their environment finds the kernel and its forks.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence

#: Where the command line and the environment begin and end; zeros where that is not said.
Place = tuple[int, int, int, int]

#: Fields 48 to 51 of ``/proc/self/stat``, counted from 0 after the command's name.
_FIRST_FIELD = 45
#: What a mark is written over; as long as the ids that are used for marks.
BLANK = "-" * 36


def place() -> Place:
    """Of this process, and of each fork of it."""
    with open("/proc/self/stat") as stat:
        fields = stat.read().rpartition(")")[2].split()
    first, last, begin, end = (int(field) for field in fields[_FIRST_FIELD : _FIRST_FIELD + 4])
    return first, last, begin, end


def write(command: Sequence[str], mark: str, where: Place) -> None:
    """Show this command, and this value of the mark. A fork has its ``place`` from its parent."""
    first, last, begin, end = where
    if not first or not begin:
        return
    words = b"".join(word.encode(errors="surrogateescape") + b"\0" for word in command)
    room = last - first
    ctypes.memmove(first, words[: room - 1].ljust(room, b"\0"), room)
    value = os.environ.get(mark, "") if mark else ""
    shown = ctypes.string_at(begin, end - begin)
    at = shown.find(f"{mark}={BLANK}\0".encode())
    if value and at >= 0:
        new = value.encode()[: len(BLANK)].ljust(len(BLANK), b"\0")
        ctypes.memmove(begin + at + len(mark) + 1, new, len(BLANK))
