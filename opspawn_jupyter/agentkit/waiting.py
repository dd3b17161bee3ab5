"""Leaving a run where it stands, until something has happened elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Waits(Exception):
    """Something must happen before the run can go on; its worker is free until then."""

    def __init__(self, message: str, facts: Mapping[str, Any]) -> None:
        super().__init__(message)
        #: What the event ``task.waiting`` says.
        self.facts = facts
