"""Options of ``run`` that say how often a task is tried, when its turn comes, and who is told."""

from __future__ import annotations

import argparse
import re
from datetime import datetime, timedelta
from typing import Any

from opspawn_jupyter.model.clock import now
from opspawn_jupyter.model.policy import RETRYABLE, Policy
from opspawn_jupyter.model.states import State

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_SPAN = re.compile(r"(\d+(?:\.\d+)?)([smhd])")
_FROM_NOW = re.compile(r"\+(\d+(?:\.\d+)?)([smhd])")


def add_policy_options(parser: argparse.ArgumentParser) -> None:
    """The options, for ``policy_of`` to read."""
    parser.add_argument("--timeout", type=seconds, metavar="SECONDS", help="limit for the run")
    parser.add_argument(
        "--cell-timeout", type=seconds, metavar="SECONDS", help="limit for each cell"
    )
    parser.add_argument(
        "--retries", type=int, default=0, metavar="N", help="try again up to N times"
    )
    parser.add_argument(
        "--retry-delay",
        type=float,
        default=Policy.retry_delay_seconds,
        metavar="SECONDS",
        help="time before the first retry; it doubles for each further one",
    )
    parser.add_argument(
        "--retry-on",
        type=_outcomes,
        default=RETRYABLE,
        metavar="OUTCOMES",
        help=f"retry only after these, with commas between: {_names()}",
    )
    parser.add_argument(
        "--priority", type=int, default=0, metavar="N", help="higher ones start first; 0 is usual"
    )
    parser.add_argument(
        "--not-before",
        type=moment,
        metavar="TIME",
        help="start no earlier: +30m (s, m, h, d), or 2030-01-31T09:00",
    )
    parser.add_argument(
        "--concurrency-key",
        metavar="KEY",
        help="tasks with the same key run one after the other",
    )
    for name, when in (("--on-success", "it succeeds"), ("--on-failure", "it does not succeed")):
        help_text = f"webhook or notifier to tell when {when}; may be given several times"
        parser.add_argument(name, action="append", default=[], metavar="URL", help=help_text)


def policy_of(options: argparse.Namespace) -> Policy:
    """The policy that the options ask for."""
    return Policy(
        timeout_seconds=options.timeout,
        cell_timeout_seconds=options.cell_timeout,
        max_retries=options.retries,
        retry_delay_seconds=options.retry_delay,
        retry_on=options.retry_on,
        priority=options.priority,
        not_before=options.not_before,
        concurrency_key=options.concurrency_key,
    )


def terms_of(options: argparse.Namespace) -> dict[str, Any]:
    """What can be asked of every submission, by the names that those of ``submission`` give it."""
    return {
        "name": options.name,
        "labels": options.labels,
        "policy": policy_of(options),
        "on_success": options.on_success,
        "on_failure": options.on_failure,
        "idempotency_key": options.key,
    }


def _names() -> str:
    return ",".join(state.value for state in RETRYABLE)


def seconds(text: str) -> float:
    """A limit of time. Raises ``ValueError``."""
    given = float(text)
    if not 0 < given < float("inf"):
        raise ValueError
    return given


def span(text: str) -> float:
    """Seconds of ``90m``, ``1.5h``, or a number of seconds."""
    match = _SPAN.fullmatch(text)
    if match is not None:
        return timedelta(**{_UNITS[match[2]]: float(match[1])}).total_seconds()
    return seconds(text)


def _outcomes(text: str) -> tuple[State, ...]:
    outcomes = tuple(State(word.strip()) for word in text.split(","))
    if set(outcomes) - set(RETRYABLE):
        raise ValueError
    return outcomes


def moment(text: str) -> datetime:
    """``+30m``, or ISO 8601; the time zone is this machine's where none is given."""
    match = _FROM_NOW.fullmatch(text)
    if match is not None:
        return now() + timedelta(**{_UNITS[match[2]]: float(match[1])})
    return datetime.fromisoformat(text).astimezone()


# argparse names the type in its message.
span.__name__ = "time (90s, 15m, 2h, 1d)"
seconds.__name__ = "number of seconds"
_outcomes.__name__ = f"list out of {_names()}"
moment.__name__ = "time (+30m, 2030-01-31T09:00)"
