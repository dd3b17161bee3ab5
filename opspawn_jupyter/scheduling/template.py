"""Texts of a submission that depend on the time that a task stands for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from opspawn_jupyter.errors import InvalidRequest
from opspawn_jupyter.model.task import Submission

_FIELD = re.compile(r"\{\{\s*([A-Za-z_]\w*)\s*\}\}")


#: Fields of a spec that hold what a file would.
_LITERAL = frozenset({"content", "source", "graph"})


def fields(name: str, due_at: datetime, interval_start: datetime) -> Mapping[str, str]:
    """What each field of a template stands for: times in ISO 8601 with the zone's offset."""
    return {
        "scheduled_time": due_at.isoformat(timespec="seconds"),
        "scheduled_date": due_at.date().isoformat(),
        "data_interval_start": interval_start.isoformat(timespec="seconds"),
        "data_interval_end": due_at.isoformat(timespec="seconds"),
        "schedule_name": name,
        # What started it, where that was a file or the end of another task.
        "trigger_path": "",
        "upstream_task_id": "",
    }


def filled(submission: Submission, known: Mapping[str, str]) -> Submission:
    """The submission with every field replaced. Raises ``InvalidRequest`` for an unknown one.

    A notebook's own cells and a workflow's own text are left as they are: braces there are theirs.
    """
    spec = {
        name: value if name in _LITERAL else _filled(value, known)
        for name, value in submission.spec.items()
    }
    name = None if submission.name is None else _text(submission.name, known)
    return replace(submission, spec=spec, name=name)


def _filled(value: Any, known: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return _text(value, known)
    if isinstance(value, Mapping):
        return {name: _filled(item, known) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_filled(item, known) for item in value]
    return value


def _text(text: str, known: Mapping[str, str]) -> str:
    def one(match: re.Match[str]) -> str:
        if match[1] not in known:
            raise InvalidRequest(match[0], hint=f"known fields are {', '.join(known)}")
        return known[match[1]]

    return _FIELD.sub(one, text)
