"""Due times, also where clocks change."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opspawn_jupyter.model.schedule import Timing
from opspawn_jupyter.scheduling.due import (
    due_after,
    due_between,
    is_due,
    last_due,
    next_due,
    next_times,
)
from tests.unit.scheduling.walking_cron import utc, walk

#: Zones, and an hour near which the clocks of each change in 2026 or before.
CHANGES = [
    ("Europe/Berlin", utc(2026, 3, 29, 1)),
    ("Europe/Berlin", utc(2026, 10, 25, 1)),
    ("America/New_York", utc(2026, 3, 8, 7)),
    ("America/New_York", utc(2026, 11, 1, 6)),
    ("America/Sao_Paulo", utc(2018, 11, 4, 3)),
    ("America/Sao_Paulo", utc(2018, 2, 18, 2)),
    ("Australia/Sydney", utc(2026, 10, 3, 16)),
    ("Australia/Sydney", utc(2026, 4, 4, 16)),
    ("Australia/Lord_Howe", utc(2026, 10, 3, 15, 30)),
    ("Australia/Lord_Howe", utc(2026, 4, 4, 15)),
    ("Pacific/Auckland", utc(2026, 9, 26, 14)),
    ("Pacific/Auckland", utc(2026, 4, 4, 14)),
    ("America/Santiago", utc(2026, 9, 6, 4)),
    ("America/Santiago", utc(2026, 4, 5, 3)),
    ("Africa/Casablanca", utc(2026, 2, 15, 2)),
    ("Africa/Cairo", utc(2026, 4, 23, 22)),
    ("Asia/Beirut", utc(2026, 3, 28, 22)),
    ("Asia/Kathmandu", utc(2026, 6, 1)),
    ("UTC", utc(2026, 3, 29, 1)),
]
RULES = [
    "30 2 * * *",
    "0 3 * * *",
    "15 1 * * *",
    "30 1,2,3 * * *",
    "0 0 * * *",
    "*/15 * * * *",
    "0 * * * *",
    "*/20 2 * * *",
    "5 */2 * * *",
    "45 23 * * 6,0",
    "0,30 0-4 * * *",
]


@pytest.mark.parametrize(("zone", "change"), CHANGES)
def test_cron_agrees_with_a_walk_over_every_minute_where_clocks_change(
    zone: str, change: datetime
) -> None:
    """Where clocks change is where schedulers double or drop runs; the two know nothing of each
    other."""
    start, end = change - timedelta(hours=26), change + timedelta(hours=26)
    for rule in RULES:
        found = list(
            due_between(Timing(cron=rule, timezone=zone), start + timedelta(seconds=1), end)
        )
        assert found == walk(rule, ZoneInfo(zone), start, end), rule


@given(
    minute=st.integers(0, 3 * 366 * 24 * 60),
    zone=st.sampled_from([zone for zone, _ in CHANGES]),
    rule=st.sampled_from(RULES),
)
@settings(max_examples=150, deadline=None)
def test_due_times_always_grow_and_each_is_found_from_just_before_it(
    minute: int, zone: str, rule: str
) -> None:
    """A due time that came twice would run twice; one that only some looks find would be lost
    after a restart."""
    timing, moment = Timing(cron=rule, timezone=zone), utc(2025, 1, 1) + timedelta(minutes=minute)
    times = next_times(timing, moment, 12)
    assert list(times) == sorted(set(times))
    assert times[0] > moment
    for due in times:
        assert is_due(timing, due)
        assert next_due(timing, due - timedelta(microseconds=1)) == due
    assert [last_due(timing, due) for due in times[1:]] == list(times[:-1])


def test_a_time_that_the_change_leaves_out_runs_right_after_it_and_only_once() -> None:
    timing = Timing(cron="0,30 2 * * *", timezone="Europe/Berlin")
    times = next_times(timing, utc(2026, 3, 28, 12), 2)
    assert times == (utc(2026, 3, 29, 1), utc(2026, 3, 30, 0))


def test_an_interval_counts_from_its_start_so_that_delays_do_not_add_up() -> None:
    timing = Timing(every_seconds=5400, starts_at=utc(2026, 1, 1, 0, 10))
    assert next_times(timing, utc(2025, 12, 31), 3) == (
        utc(2026, 1, 1, 0, 10),
        utc(2026, 1, 1, 1, 40),
        utc(2026, 1, 1, 3, 10),
    )
    assert next_due(timing, utc(2026, 1, 1, 1, 40)) == utc(2026, 1, 1, 3, 10)


def test_a_schedule_for_one_time_is_due_once() -> None:
    timing = Timing(at=datetime(2030, 1, 31, 9, tzinfo=ZoneInfo("Europe/Berlin")))
    assert next_times(timing, utc(2026, 1, 1), 5) == (utc(2030, 1, 31, 8),)
    assert next_due(timing, utc(2030, 1, 31, 8)) is None


def test_nothing_is_due_before_the_start_after_the_end_or_on_excluded_days() -> None:
    """The days are the zone's own: 23:30 in New York is the next day already in UTC."""
    timing = Timing(
        cron="30 23 * * *",
        timezone="America/New_York",
        starts_at=utc(2026, 12, 23),
        ends_at=utc(2026, 12, 28),
        exclude_dates=("2026-12-25",),
    )
    assert list(due_after(timing, utc(2026, 1, 1))) == [
        utc(2026, 12, 23, 4, 30),
        utc(2026, 12, 24, 4, 30),
        utc(2026, 12, 25, 4, 30),
        utc(2026, 12, 27, 4, 30),
    ]


def test_a_rule_whose_every_day_is_excluded_ends_instead_of_running_for_ever() -> None:
    days = tuple(f"2026-{month:02}-01" for month in range(1, 13))
    timing = Timing(cron="* * 1 * *", exclude_dates=days)
    assert next_due(timing, utc(2026, 1, 1)) is None
