"""Whether a policy can be kept, said before the task is accepted."""

from __future__ import annotations

import math
from datetime import datetime

from opspawn_jupyter.errors import InvalidRequest
from opspawn_jupyter.model.policy import (
    HIGHEST_PRIORITY,
    LARGEST_BACKOFF,
    LONGEST_DELAY_SECONDS,
    LONGEST_KEY,
    MOST_RETRIES,
    RETRYABLE,
    Policy,
)


def check_policy(policy: Policy) -> None:
    """Raises ``InvalidRequest`` that says which field is wrong, and what it may be."""
    for field in ("timeout_seconds", "cell_timeout_seconds"):
        seconds = getattr(policy, field)
        if seconds is not None and not (seconds > 0 and math.isfinite(seconds)):
            raise InvalidRequest(seconds, hint=f"{field} must be a number of seconds above 0")
    _check_retries(policy)
    _require_between(policy, "priority", -HIGHEST_PRIORITY, HIGHEST_PRIORITY)
    _check_time(policy.not_before)
    key = policy.concurrency_key
    if key is not None and not 0 < len(key) <= LONGEST_KEY:
        raise InvalidRequest(key[:80], hint=f"concurrency_key has 1 to {LONGEST_KEY} characters")


def _check_retries(policy: Policy) -> None:
    _require_between(policy, "max_retries", 0, MOST_RETRIES)
    _require_between(policy, "retry_delay_seconds", 0, LONGEST_DELAY_SECONDS)
    _require_between(policy, "retry_backoff", 1, LARGEST_BACKOFF)
    _require_between(policy, "retry_max_delay_seconds", 0, LONGEST_DELAY_SECONDS)
    others = [state.value for state in policy.retry_on if state not in RETRYABLE]
    if others or not policy.retry_on:
        names = ", ".join(state.value for state in RETRYABLE)
        raise InvalidRequest(", ".join(others), hint=f"retry_on names some of {names}")


def _require_between(policy: Policy, field: str, least: float, most: float) -> None:
    value = getattr(policy, field)
    if not least <= value <= most:  # also where it is not a number at all
        raise InvalidRequest(value, hint=f"{field} must lie between {least:g} and {most:g}")


def _check_time(moment: datetime | None) -> None:
    if moment is not None and moment.utcoffset() is None:
        raise InvalidRequest(
            moment.isoformat(), hint="not_before needs its UTC offset, as in 2030-01-31T09:00+01:00"
        )
