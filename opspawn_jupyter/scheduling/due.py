"""Due times of a timing.

cronsim does cron's arithmetic and follows Debian's cron where clocks change: a job at a fixed
time that the change skips runs once, right after it; one at a time that comes twice runs once, at
the first; jobs whose hour or minute is a star run by real time. Its results are filtered here so
that they always grow: two skipped times that both move to the end of the gap are one.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

from cronsim import CronSim

from opspawn_jupyter.model.schedule import Timing

#: The names of crontab(5). ``@reboot`` has no time and is refused.
ALIASES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
#: How far back the due time before another is looked for, a step further each time.
_LOOK_BACK = tuple(timedelta(days=days) for days in (0.1, 2, 40, 400, 1_600))
#: A rule whose every time is excluded is given up after so many.
_MOST_EXCLUDED = 5_000


def expression(cron: str) -> str:
    """The five fields that an alias stands for, or those that were given."""
    return ALIASES.get(cron.strip().lower(), cron)


def due_after(timing: Timing, moment: datetime) -> Iterator[datetime]:
    """Due times after the moment, in order, in UTC."""
    excluded = 0
    zone = ZoneInfo(timing.timezone)
    # Python compares and subtracts times of one zone by what its clocks show: so all is in UTC.
    for due in _of_rule(timing, _not_before_start(timing, moment.astimezone(UTC)), zone):
        if timing.ends_at is not None and due > timing.ends_at:
            return
        if due.astimezone(zone).date().isoformat() not in timing.exclude_dates:
            excluded = 0
            yield due
        elif (excluded := excluded + 1) > _MOST_EXCLUDED:
            return


def next_due(timing: Timing, moment: datetime) -> datetime | None:
    """The first due time after the moment."""
    return next(due_after(timing, moment), None)


def next_times(timing: Timing, moment: datetime, count: int) -> tuple[datetime, ...]:
    """The first few of them."""
    return tuple(islice(due_after(timing, moment), count))


def due_between(timing: Timing, first: datetime, last: datetime) -> Iterator[datetime]:
    """Due times from ``first`` to ``last``, both included."""
    for due in due_after(timing, first.astimezone(UTC) - timedelta(microseconds=1)):
        if due > last.astimezone(UTC):
            return
        yield due


def last_due(timing: Timing, moment: datetime) -> datetime | None:
    """The last due time before the moment; None where there is none for years."""
    moment = moment.astimezone(UTC)
    for back in _LOOK_BACK:
        last = None
        for due in due_after(timing, moment - back):
            if due >= moment:
                break
            last = due
        if last is not None:
            return last
    return None


def is_due(timing: Timing, moment: datetime) -> bool:
    """Whether the moment is one of the due times."""
    return next(due_between(timing, moment, moment), None) is not None


def _not_before_start(timing: Timing, moment: datetime) -> datetime:
    if timing.starts_at is None:
        return moment
    return max(moment, timing.starts_at.astimezone(UTC) - timedelta(microseconds=1))


def _of_rule(timing: Timing, moment: datetime, zone: ZoneInfo) -> Iterator[datetime]:
    if timing.cron is not None:
        yield from _of_cron(timing.cron, moment, zone)
    elif timing.every_seconds is not None:
        yield from _of_interval(timing, timing.every_seconds, moment)
    elif timing.at is not None and timing.at > moment:
        yield timing.at.astimezone(UTC)


def _of_cron(cron: str, moment: datetime, zone: ZoneInfo) -> Iterator[datetime]:
    last = moment
    for local in _Cron(expression(cron), moment.astimezone(zone)):
        due = local.astimezone(UTC)
        if due > last:
            yield due
            last = due


def _of_interval(timing: Timing, seconds: float, moment: datetime) -> Iterator[datetime]:
    """Whole intervals from the start, so that no delay adds up."""
    start = (timing.starts_at or datetime.fromtimestamp(0, UTC)).astimezone(UTC)
    number = max(0, int((moment - start).total_seconds() // seconds))
    while True:
        due = start + timedelta(seconds=number * seconds)
        if due > moment:
            yield due
        number += 1


class _Cron(CronSim):
    """cronsim steps through the hours by sixty minutes. Where clocks change by half an hour, as on
    Lord Howe Island, that leads into the middle of the hour looked for; its beginning counts too.
    """

    def advance_hour(self) -> bool:
        """As the original, from the hour's beginning."""
        is_moved = super().advance_hour()
        if is_moved and self.dt.minute and self.dt.tzinfo is not None:
            back = self.dt.astimezone(UTC) - timedelta(minutes=self.dt.minute)
            beginning = back.astimezone(self.dt.tzinfo)
            if beginning.hour == self.dt.hour:
                self.dt = beginning
        return is_moved
