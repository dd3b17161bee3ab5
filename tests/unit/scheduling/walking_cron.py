"""Debian's cron, written anew as a walk over every minute: slow, and simple enough to be believed.

See cron(8) of Debian: when a change of clocks takes less than three hours, jobs at a fixed time
in the hour that is left out run right after it, and those in the hour that comes twice run once;
jobs whose minute or hour is a star follow the clock on the wall as it moves.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

MINUTE = timedelta(minutes=1)


def walk(cron: str, zone: ZoneInfo, start: datetime, end: datetime) -> list[datetime]:
    """Due times after the start up to the end, in UTC."""
    minutes, hours, _, _, _ = cron.split()
    follows_the_wall = minutes.startswith("*") or hours.startswith("*")
    found: list[datetime] = []
    instants = _instants(start, end)
    if follows_the_wall:
        return [at for at in instants if _matches(cron, at.astimezone(zone))]
    before = start.astimezone(zone).replace(tzinfo=None)
    furthest = before
    for at in instants:
        wall = at.astimezone(zone).replace(tzinfo=None)
        # Wall minutes that have come since the last look, save those that had come before.
        first = max(before + MINUTE, furthest + MINUTE)
        if any(_matches(cron, minute) for minute in _instants(first - MINUTE, wall)):
            found.append(at)
        before, furthest = wall, max(furthest, wall)
    return found


def _instants(start: datetime, end: datetime) -> Iterator[datetime]:
    at = start + MINUTE
    while at <= end:
        yield at
        at += MINUTE


def _matches(cron: str, wall: datetime) -> bool:
    minute, hour, day, month, weekday = cron.split()
    fits_day = _in(day, wall.day, 31)
    fits_weekday = _in(weekday, wall.isoweekday() % 7, 7)
    either = not day.startswith("*") and not weekday.startswith("*")
    fits = (fits_day or fits_weekday) if either else (fits_day and fits_weekday)
    clock = _in(minute, wall.minute, 59) and _in(hour, wall.hour, 23)
    return fits and clock and _in(month, wall.month, 12)


def _in(field: str, value: int, most: int) -> bool:
    return any(_in_part(part, value, most) for part in field.split(","))


def _in_part(part: str, value: int, most: int) -> bool:
    span, _, step = part.partition("/")
    if span == "*":
        first, last = 0, most
    else:
        low, _, high = span.partition("-")
        first, last = int(low), int(high or low)
    return first <= value <= last and (value - first) % int(step or 1) == 0


def utc(*when: int) -> datetime:
    """A moment in UTC."""
    return datetime(*when, tzinfo=UTC)  # type: ignore[arg-type,misc]
