"""A run that another scheduler made, as our history takes it in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar

from opspawn_jupyter.model.policy import STRICT
from opspawn_jupyter.model.states import State


@dataclass(frozen=True, kw_only=True)
class PastJob:
    """What is known of it. It has ended."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    #: Tells it from all others, wherever they come from: it is taken in once.
    key: str
    name: str
    #: How it ended: success, failed or cancelled.
    state: State
    created_at: datetime
    started_at: datetime
    finished_at: datetime
    #: The notebook that was run.
    notebook: Mapping[str, Any]
    #: The executed one, where there is one.
    output: Mapping[str, Any] | None = None
    kernel: str | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    #: Why it did not succeed.
    message: str = ""
    #: Name or id of the schedule that it was a run of.
    schedule: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class TakenIn:
    """The task that a past job is now."""

    task_id: str
    #: It was not there before.
    is_new: bool
