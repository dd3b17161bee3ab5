"""A timing in words."""

from __future__ import annotations

from datetime import datetime

from cronsim import CronSim

from opspawn_jupyter.model.schedule import Plan, Timing
from opspawn_jupyter.scheduling.due import expression

_UNITS = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))


def words(plan: Plan) -> str:
    """``At 06:00 on Monday through Friday, Europe/Berlin``."""
    parts = [_rule(plan.timing), *_triggers(plan)]
    return "; ".join(part for part in parts if part) or "only when somebody starts it"


def _rule(timing: Timing) -> str:
    if timing.cron is not None:
        start = datetime(2000, 1, 1)  # noqa: DTZ001 (cronsim only needs some time to begin with)
        said = CronSim(expression(timing.cron), start).explain()
        rule = f"{said}, {timing.timezone}"
    elif timing.every_seconds is not None:
        rule = f"every {duration(timing.every_seconds)}"
    elif timing.at is not None:
        rule = f"once, at {timing.at:%Y-%m-%d %H:%M %Z}"
    else:
        return ""
    return rule + _limits(timing)


def _limits(timing: Timing) -> str:
    start = f", from {timing.starts_at:%Y-%m-%d %H:%M %Z}" if timing.starts_at else ""
    end = f", until {timing.ends_at:%Y-%m-%d %H:%M %Z}" if timing.ends_at else ""
    excluded = timing.exclude_dates
    without = f", not on {', '.join(excluded)}" if excluded else ""
    return start + end + without


def _triggers(plan: Plan) -> list[str]:
    return [
        f"after each success of {', '.join(plan.follows)}" if plan.follows else "",
        f"after each success of the workflow {', '.join(plan.follows_workflows)}"
        if plan.follows_workflows
        else "",
        f"when {', '.join(plan.files)} comes or changes" if plan.files else "",
        "when its webhook is called" if plan.webhook else "",
    ]


def duration(seconds: float) -> str:
    """``90 minutes``, ``2 days``."""
    for size, name in _UNITS:
        if seconds >= size and seconds % size == 0:
            count = int(seconds // size)
            return f"{count} {name}s" if count != 1 else name
    return f"{seconds:g} seconds"
