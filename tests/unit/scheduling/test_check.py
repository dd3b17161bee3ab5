"""Plans that cannot be kept are refused with one sentence."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from opspawn_jupyter.errors import InvalidRequest
from opspawn_jupyter.model.policy import Policy
from opspawn_jupyter.model.schedule import Plan, Timing
from opspawn_jupyter.model.task import Submission
from opspawn_jupyter.scheduling.check import check_plan
from opspawn_jupyter.scheduling.template import fields, filled
from opspawn_jupyter.scheduling.words import words
from tests.unit.scheduling.walking_cron import utc

NOW = utc(2026, 11, 25, 22)


def plan(timing: Timing | None = None, submission: Submission | None = None, **given: Any) -> Plan:
    return Plan(
        **{
            "name": "daily",
            "submission": submission or Submission(spec={"notebook": "a.ipynb"}),
            "timing": timing or Timing(cron="@daily"),
            **given,
        }
    )


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (plan(Timing(cron="61 * * * *")), "bad minute"),
        (plan(Timing(cron="* * *")), "five fields"),
        (plan(Timing(cron="0 0 * * * *")), "five fields"),
        (plan(Timing(cron="@reboot")), "@daily"),
        (plan(Timing(cron="0 0 31 2 *")), "bad day-of-month"),
        (plan(Timing(cron="@daily", timezone="Mars/Base")), "no such time zone"),
        (plan(Timing(cron="@daily", timezone="../etc/passwd")), "no such time zone"),
        (plan(Timing(at=NOW - timedelta(seconds=1))), "has passed"),
        (plan(Timing(at=NOW.replace(tzinfo=None))), "UTC offset"),
        (plan(Timing(cron="@daily", ends_at=NOW + timedelta(minutes=1))), "never be due"),
        (plan(Timing(cron="@daily", every_seconds=60)), "give one of"),
        (plan(Timing(every_seconds=0.5)), "one second or longer"),
        (plan(Timing(cron="@daily", exclude_dates=("25.12.2026",))), "2026-12-25"),
        (plan(Timing()), "nothing would start"),
        (plan(name="a/b"), "name"),
        (plan(follows=("daily",)), "follow itself"),
        (plan(jitter_seconds=-1.0), "jitter_seconds"),
        (plan(max_unfinished=0), "max_unfinished"),
        (plan(submission=Submission(spec={}, idempotency_key="k")), "key"),
        (plan(submission=Submission(spec={}, policy=Policy(not_before=NOW))), "not_before"),
    ],
)
def test_a_plan_that_cannot_be_kept_is_refused_and_told_why(bad: Plan, said: str) -> None:
    with pytest.raises(InvalidRequest, match=said):
        check_plan(bad, NOW)


def test_a_good_plan_is_told_in_words() -> None:
    good = plan(
        Timing(cron="0 6 * * 1-5", timezone="Europe/Berlin", exclude_dates=("2026-12-25",)),
        webhook=True,
    )
    check_plan(good, NOW)
    assert words(good) == (
        "At 06:00 on Monday through Friday, Europe/Berlin, not on 2026-12-25; "
        "when its webhook is called"
    )
    assert words(plan(Timing(every_seconds=5400))) == "every 90 minutes"


def test_a_parameter_is_filled_from_the_time_that_the_task_stands_for() -> None:
    known = fields("daily", utc(2026, 11, 25, 6), utc(2026, 11, 24, 6))
    asked = Submission(
        name="{{ schedule_name }} {{ scheduled_date }}",
        spec={
            "parameters_text": {"day": "{{scheduled_date}}"},
            "parameters": {"span": ["{{ data_interval_start }}", 3]},
            "content": {"cells": ["{{ not ours }}", "{{ x }}"]},
        },
    )
    given = filled(asked, known)
    assert given.name == "daily 2026-11-25"
    assert given.spec["parameters_text"] == {"day": "2026-11-25"}
    assert given.spec["parameters"] == {"span": ["2026-11-24T06:00:00+00:00", 3]}
    assert given.spec["content"] == asked.spec["content"]


def test_a_field_that_does_not_exist_is_refused_with_those_that_do() -> None:
    known = fields("daily", NOW, NOW)
    with pytest.raises(InvalidRequest, match="scheduled_time"):
        filled(Submission(spec={"parameters": {"a": "{{ schedule_time }}"}}), known)
