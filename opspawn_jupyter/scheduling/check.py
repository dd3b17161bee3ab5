"""Whether a plan can be kept, said in one sentence before it is accepted."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from functools import cache
from zoneinfo import available_timezones

from cronsim import CronSim, CronSimError

from opspawn_jupyter.errors import InvalidRequest
from opspawn_jupyter.model.schedule import Plan, Timing
from opspawn_jupyter.scheduling.due import ALIASES, expression, next_due

_NAME = re.compile(r"[A-Za-z0-9][\w.\- ]{0,99}", re.ASCII)
_MOST_JITTER_SECONDS = 86_400.0
_MOST_UNFINISHED = 10_000


def check_plan(plan: Plan, now: datetime) -> None:
    """Raises ``InvalidRequest`` that says what is wrong with it and what to do."""
    if not _NAME.fullmatch(plan.name):
        hint = "a schedule's name has 1 to 100 letters, digits, blanks, and any of ._-"
        raise InvalidRequest(plan.name[:120], hint=hint)
    if plan.submission.idempotency_key is not None:
        raise InvalidRequest(hint="a schedule makes the keys of its tasks; leave the key out")
    if plan.submission.policy.not_before is not None:
        raise InvalidRequest(hint="a schedule says when its tasks start; leave not_before out")
    _check_numbers(plan)
    check_timing(plan.timing, now)
    if not (plan.timing.has_clock or plan.has_triggers):
        raise InvalidRequest(
            hint="nothing would start this schedule; give cron, every_seconds, at, files, "
            "follows, follows_workflows or webhook"
        )
    for pattern in plan.files:
        if not pattern or pattern.startswith(("/", "~")) or ".." in pattern.split("/"):
            hint = "files are patterns under the server's root, as data/*.csv"
            raise InvalidRequest(pattern, hint=hint)
    if plan.name in plan.follows:
        raise InvalidRequest(plan.name, hint="a schedule cannot follow itself")


def check_timing(timing: Timing, now: datetime) -> None:
    """Raises ``InvalidRequest`` likewise, for the timing alone."""
    rules = [timing.cron, timing.every_seconds, timing.at]
    if sum(rule is not None for rule in rules) > 1:
        raise InvalidRequest(hint="give one of cron, every_seconds and at")
    for problem in _problems(timing, now):
        raise problem
    if timing.has_clock and next_due(timing, now) is None:
        raise InvalidRequest(hint="it would never be due again; look at its dates")


def _problems(timing: Timing, now: datetime) -> Iterator[InvalidRequest]:
    if timing.timezone not in _zones():
        yield InvalidRequest(
            timing.timezone, hint="there is no such time zone; write one as Europe/Berlin or UTC"
        )
    yield from _moment_problems(timing, now)
    if timing.cron is not None:
        yield from _cron_problems(timing.cron)
    if timing.every_seconds is not None and not 1 <= timing.every_seconds < math.inf:
        yield InvalidRequest(timing.every_seconds, hint="an interval is one second or longer")
    for text in timing.exclude_dates:
        if not _is_date(text):
            yield InvalidRequest(text, hint="exclude_dates are written as 2026-12-25")


def _moment_problems(timing: Timing, now: datetime) -> Iterator[InvalidRequest]:
    for name in ("at", "starts_at", "ends_at"):
        moment: datetime | None = getattr(timing, name)
        if moment is None:
            continue
        if moment.tzinfo is None:
            hint = f"{name} needs a UTC offset, as 2030-01-31T09:00+01:00"
            yield InvalidRequest(moment.isoformat(), hint=hint)
        elif moment <= now and name != "starts_at":
            yield InvalidRequest(moment.isoformat(), hint=f"{name} has passed already")


def _cron_problems(cron: str) -> Iterator[InvalidRequest]:
    if cron.strip().startswith("@") and cron.strip().lower() not in ALIASES:
        yield InvalidRequest(cron, hint=f"known names are {', '.join(ALIASES)}")
        return
    if len(expression(cron).split()) != 5:
        yield InvalidRequest(
            cron, hint="cron has five fields: minute, hour, day of month, month, day of week"
        )
        return
    try:
        next(CronSim(expression(cron), datetime.now(UTC)))
    except CronSimError as failure:
        said = str(failure)
        yield InvalidRequest(cron, hint=f"this is no cron rule: {said[:1].lower()}{said[1:]}")
    except StopIteration:
        yield InvalidRequest(cron, hint="there is no such day in any year")


def _check_numbers(plan: Plan) -> None:
    for name, most in (
        ("jitter_seconds", _MOST_JITTER_SECONDS),
        ("catch_up_window_seconds", math.inf),
        ("pause_after_failures", math.inf),
        ("keep_runs", math.inf),
    ):
        if not 0 <= getattr(plan, name) <= most:
            limit = f" to {most:g}" if most < math.inf else " or more"
            raise InvalidRequest(getattr(plan, name), hint=f"{name} is 0{limit}")
    if not 1 <= plan.max_unfinished <= _MOST_UNFINISHED:
        hint = f"max_unfinished is 1 to {_MOST_UNFINISHED}"
        raise InvalidRequest(plan.max_unfinished, hint=hint)


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def _is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
