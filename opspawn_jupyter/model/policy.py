"""A task's policy: how long it may take, how often it is tried, and when its turn comes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar

from opspawn_jupyter.model.states import State

#: pydantic reads this at the edges: a misspelt field is refused, not ignored.
STRICT: dict[str, Any] = {"extra": "forbid"}

#: Outcomes after which a task may be tried again.
RETRYABLE = (State.FAILED, State.TIMED_OUT, State.CRASHED)

MOST_RETRIES = 100
LARGEST_BACKOFF = 100.0
LONGEST_DELAY_SECONDS = 30 * 86400.0
#: Of a priority, either way.
HIGHEST_PRIORITY = 1_000_000
LONGEST_KEY = 200


class Jitter(StrEnum):
    """How much of a delay is left to chance, so that many tasks do not come back at once."""

    #: None of it.
    NONE = "none"
    #: One half.
    EQUAL = "equal"
    #: All of it: from no delay to the whole.
    FULL = "full"


@dataclass(frozen=True, kw_only=True)
class Policy:
    """How a task is treated. Nothing is retried unless ``max_retries`` says so."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    #: Limit for each attempt, from start to end.
    timeout_seconds: float | None = None
    #: Limit for each cell.
    cell_timeout_seconds: float | None = None
    #: How many more attempts there may be after the first.
    max_retries: int = 0
    #: Delay before the first retry, counted from the end of the attempt.
    retry_delay_seconds: float = 5.0
    #: Each further delay is so many times the one before.
    retry_backoff: float = 2.0
    #: No delay is longer.
    retry_max_delay_seconds: float = 600.0
    retry_jitter: Jitter = Jitter.EQUAL
    #: Outcomes that are retried: some of ``RETRYABLE``.
    retry_on: tuple[State, ...] = RETRYABLE
    #: Tasks of a higher priority start first; tasks of the same one in the order they came.
    priority: int = 0
    #: The task does not start earlier; with its UTC offset.
    not_before: datetime | None = None
    #: Tasks with the same key do not run together, or only as many as the server is set to allow.
    concurrency_key: str | None = None
