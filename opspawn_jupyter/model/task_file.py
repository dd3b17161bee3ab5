"""``task.json``: what was submitted, for whoever has nothing but the run directory.

Small steps that are begun together have one such file, with what they have in common said once: to
make a file for each takes longer than such a step. It lies in all of their directories.

    {"shared": {"kind": …, "spec": …}, "tasks": [{"id": …, "name": …, "run_directory": …}, …]}
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from opspawn_jupyter.model import wire
from opspawn_jupyter.model.ids import short
from opspawn_jupyter.model.run_directory import RunDirectory

_SHARED, _TASKS = "shared", "tasks"


def content(records: Sequence[Mapping[str, Any]]) -> bytes:
    """The file of these, which have the same members, in the order of the first."""
    first, *others = records
    if not others:
        return _line(first)
    shared = {
        name: value
        for name, value in first.items()
        if all(one[name] is value or one[name] == value for one in others)
    }
    names = [name for name in first if name not in shared]
    own = [{name: one[name] for name in names} for one in records]
    return _line({_SHARED: shared, _TASKS: own})


def read(directory: RunDirectory) -> dict[str, Any]:
    """What the file says of the directory's own task.

    Raises ``OSError``; ``ValueError``, ``TypeError`` or ``LookupError`` where it makes no sense.
    """
    said = json.loads(directory.task.read_bytes())
    if _TASKS not in said:
        return dict(said)
    name = directory.path.name
    own = next((one for one in said[_TASKS] if name.endswith(short(one["id"]))), None)
    if own is None:
        message = f"none of its tasks has the id that {name!r} ends with"
        raise ValueError(message)
    return {**said[_SHARED], **own}


def _line(value: Any) -> bytes:
    return f"{wire.to_json(value)}\n".encode()
