"""The one place where identifiers are made."""

from __future__ import annotations

import os
import time

#: Letters of a task id that people see and type; enough to tell the tasks of one server apart.
SHORT_LENGTH = 8


def new_id() -> str:
    """A UUID of version 7 (RFC 9562, section 5.7): ids sort by the time they were made.

    DuckDB finds a task by the minimum and maximum of each row group, without an index, because
    the ids arrive in order.
    """
    milliseconds = time.time_ns() // 1_000_000
    value = (milliseconds & (1 << 48) - 1) << 80 | int.from_bytes(os.urandom(10))
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    text = f"{value:032x}"  # without the module uuid, which every command would have to import
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def short(task_id: str) -> str:
    """The random end of an id; its beginning is a time stamp that neighbours share."""
    return task_id[-SHORT_LENGTH:]
