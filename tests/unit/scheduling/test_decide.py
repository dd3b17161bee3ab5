"""What is done about due times: each ends in exactly one task or one reason."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opspawn_jupyter.model.firing import Reason
from opspawn_jupyter.model.schedule import CatchUp, Overlap, Plan, Schedule, ScheduleState, Timing
from opspawn_jupyter.model.task import Submission
from opspawn_jupyter.scheduling.decide import Decision, Pass, Run, decide
from opspawn_jupyter.scheduling.due import due_between
from tests.unit.scheduling.walking_cron import utc

START = utc(2026, 1, 1)
MOMENT = timedelta(microseconds=1)


def schedule(timing: Timing | None = None, **given: Any) -> Schedule:
    timing = timing or Timing(cron="0 * * * *")
    plan = Plan(name="report", submission=Submission(spec={}), timing=timing, **given)
    return Schedule(id="s", plan=plan, created_at=START, accounted_until=START)


def covered(decisions: tuple[Decision, ...], of: Schedule) -> list[datetime]:
    """Every due time that the decisions are about, in their order."""
    found: list[datetime] = []
    for one in decisions:
        if isinstance(one, Run):
            found.append(one.due_at)
        else:
            inside = list(due_between(of.plan.timing, one.first_due_at, one.last_due_at))
            assert one.count in (None, len(inside))
            found += inside
    return found


def reasons(decisions: tuple[Decision, ...]) -> list[str]:
    return [one.reason.value if isinstance(one, Pass) else "run" for one in decisions]


@pytest.mark.parametrize(
    ("catch_up", "told"),
    [
        (CatchUp.NONE, ["missed"]),
        (CatchUp.LATEST, ["superseded", "run"]),
        (CatchUp.ALL, ["run"] * 5),
    ],
)
def test_what_a_server_that_was_down_makes_up_for_is_what_catch_up_says(
    catch_up: CatchUp, told: list[str]
) -> None:
    given = schedule(catch_up=catch_up)
    decisions = decide(given, START + timedelta(hours=5, minutes=30), 0)
    assert reasons(decisions) == told


def test_a_due_time_that_has_just_come_takes_the_place_of_all_that_were_missed() -> None:
    decisions = decide(schedule(), START + timedelta(hours=5, seconds=2), 0)
    assert reasons(decisions) == ["superseded", "run"]
    assert decisions[-1] == Run(due_at=START + timedelta(hours=5), is_queued=True)


@pytest.mark.parametrize(
    ("overlap", "told"),
    [
        (Overlap.SKIP, Pass),
        (Overlap.QUEUE, Run(due_at=START + timedelta(hours=1), is_queued=True)),
        (
            Overlap.CANCEL_RUNNING,
            Run(due_at=START + timedelta(hours=1), is_queued=True, cancels_earlier=True),
        ),
        (Overlap.ALLOW, Run(due_at=START + timedelta(hours=1))),
    ],
)
def test_an_earlier_task_that_still_runs_meets_the_overlap_rule(
    overlap: Overlap, told: Any
) -> None:
    (decision,) = decide(schedule(overlap=overlap), START + timedelta(hours=1), 1)
    if told is Pass:
        assert isinstance(decision, Pass)
        assert decision.reason is Reason.OVERLAP
    else:
        assert decision == told


def test_more_than_the_window_ago_is_not_made_up_for() -> None:
    given = schedule(catch_up=CatchUp.ALL, catch_up_window_seconds=7200.0)
    decisions = decide(given, START + timedelta(hours=10, minutes=30), 0)
    assert reasons(decisions) == ["outside_window", "run", "run"]


def test_no_more_tasks_than_the_limit_are_made_to_wait() -> None:
    given = schedule(catch_up=CatchUp.ALL, max_unfinished=3)
    decisions = decide(given, START + timedelta(hours=9, minutes=30), 1)
    assert reasons(decisions) == ["run", "run", "limit"]


def test_a_paused_schedule_passes_over_all_of_it_as_one_range() -> None:
    given = replace(schedule(Timing(cron="* * * * *")), state=ScheduleState.PAUSED)
    (decision,) = decide(given, START + timedelta(days=300), 0)
    assert isinstance(decision, Pass)
    assert (decision.reason, decision.count) == (Reason.PAUSED, None)


TIMINGS = st.sampled_from(
    [
        Timing(cron="*/7 * * * *"),
        Timing(cron="30 2 * * *", timezone="Europe/Berlin"),
        Timing(cron="0 */3 * * 1-5", timezone="America/New_York"),
        Timing(every_seconds=1000),
        Timing(at=START + timedelta(hours=7)),
        Timing(cron="0 6 * * *", exclude_dates=("2026-01-02",), ends_at=START + timedelta(days=3)),
    ]
)


@given(
    timing=TIMINGS,
    catch_up=st.sampled_from(CatchUp),
    overlap=st.sampled_from(Overlap),
    window_seconds=st.sampled_from([0.0, 3600.0, 86_400.0]),
    seconds_down=st.integers(0, 400_000),
    unfinished=st.integers(0, 4),
    is_paused=st.booleans(),
)
@settings(max_examples=200, deadline=None)
def test_every_due_time_is_decided_exactly_once_and_in_order(
    *,
    timing: Timing,
    catch_up: CatchUp,
    overlap: Overlap,
    window_seconds: float,
    seconds_down: int,
    unfinished: int,
    is_paused: bool,
) -> None:
    given = schedule(
        timing,
        catch_up=catch_up,
        overlap=overlap,
        catch_up_window_seconds=window_seconds,
        max_unfinished=3,
    )
    if is_paused:
        given = replace(given, state=ScheduleState.PAUSED)
    now = START + timedelta(seconds=seconds_down)
    decisions = decide(given, now, unfinished)
    assert covered(decisions, given) == list(due_between(timing, START + MOMENT, now))


def test_in_a_year_of_200_schedules_and_random_outages_every_due_time_is_accounted_for() -> None:
    """The promise of the whole feature, over a year whose clock is the test's own."""
    chance = random.Random(20260101)
    year_end = START + timedelta(days=365)
    total = 0
    for number in range(200):
        given = schedule(
            chance.choice(
                [
                    Timing(cron=f"{number % 60} {number % 24} * * *", timezone="Europe/Berlin"),
                    Timing(cron=f"{number % 60} 2 * * *", timezone="Australia/Sydney"),
                    Timing(cron="0 6 * * 1-5", timezone="America/New_York"),
                    Timing(cron="*/30 23 * * 0", timezone="America/Santiago"),
                    Timing(every_seconds=chance.choice([90_000, 150_000.5])),
                    Timing(cron="@weekly", exclude_dates=("2026-03-01",)),
                    Timing(at=START + timedelta(days=chance.randrange(1, 364))),
                ]
            ),
            catch_up=chance.choice(list(CatchUp)),
            overlap=chance.choice(list(Overlap)),
            catch_up_window_seconds=chance.choice([3600.0, 86_400.0, 604_800.0]),
            max_unfinished=chance.choice([1, 3, 100]),
        )
        accounted: list[datetime] = []
        now = START
        while now < year_end:
            now = min(now + _until_it_looks_again(chance), year_end)
            if chance.random() < 0.03:
                flipped = (
                    ScheduleState.PAUSED
                    if given.state is ScheduleState.ACTIVE
                    else ScheduleState.ACTIVE
                )
            else:
                flipped = given.state
            decisions = decide(given, now, chance.choice([0, 0, 0, 1, 2]))
            accounted += covered(decisions, given)
            given = replace(given, accounted_until=now, state=flipped)
        expected = list(due_between(given.plan.timing, START + MOMENT, year_end))
        assert accounted == expected, given.plan
        total += len(accounted)
    assert total > 20_000


def _until_it_looks_again(chance: random.Random) -> timedelta:
    """Mostly the next look of a server that runs; sometimes the end of an outage."""
    if chance.random() < 0.1:
        return timedelta(days=chance.expovariate(1 / 9))
    return timedelta(hours=chance.expovariate(1 / 50))
