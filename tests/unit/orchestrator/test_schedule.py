"""Schedules over the real store: what is due becomes one task or one reason, whatever happens."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from opspawn_jupyter import errors
from opspawn_jupyter.client.schedule_text import firing_row
from opspawn_jupyter.model.firing import Cause, Reason
from opspawn_jupyter.model.schedule import CatchUp, Overlap, Plan, ScheduleState, Timing
from opspawn_jupyter.model.schedule_view import Edit, Period
from opspawn_jupyter.model.states import EventType, State
from opspawn_jupyter.model.task import Submission
from opspawn_jupyter.orchestrator import schedule as verbs
from opspawn_jupyter.orchestrator.context import Orchestration
from opspawn_jupyter.orchestrator.firing import account
from opspawn_jupyter.orchestrator.schedule_backfill import backfill
from opspawn_jupyter.orchestrator.schedule_edit import edit
from opspawn_jupyter.orchestrator.schedule_history import history, why
from opspawn_jupyter.orchestrator.schedule_loop import begin, fire_due, set_back
from opspawn_jupyter.orchestrator.schedule_view import find_schedule, schedules
from opspawn_jupyter.orchestrator.schedule_webhook import call, renew_token
from tests.unit.orchestrator.schedule_stage import START, Clock, Play, finish, plan, tasks, told
from tests.unit.orchestrator.stage import note


@pytest.fixture
def hands(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_each_due_time_gets_one_task_that_says_what_it_stands_for(play: Play, hands: Clock) -> None:
    async def story(o: Orchestration) -> None:
        submission = note("for {{ scheduled_time }}")
        await verbs.create(o, plan(submission=submission, overlap=Overlap.ALLOW), "ada")
        await hands.go(o, hours=1)
        await hands.go(o, seconds=1)  # nothing more is due
        await hands.go(o, hours=1)
        found = await tasks(o)
        assert [task.spec["text"] for task in found] == [
            "for 2026-11-25T23:00:00+00:00",
            "for 2026-11-26T00:00:00+00:00",
        ]
        assert found[0].labels["schedule"] == "hourly"
        assert found[0].labels["due"] == "2026-11-25T23:00:00+00:00"
        assert found[0].submitted_by == "ada"
        firings = (await history(o, "hourly", 10, None)).firings
        assert firing_row(firings[-1])[2].endswith(", current file")

    play(story)


def test_a_server_that_was_down_takes_up_its_schedules_and_makes_up_for_the_last_due_time(
    play: Play, hands: Clock
) -> None:
    async def before(o: Orchestration) -> None:
        await verbs.create(o, plan(), "ada")

    async def after(o: Orchestration) -> None:
        hands.time += timedelta(hours=3, minutes=30)
        await begin(o)
        await fire_due(o, hands.time)
        assert await told(o) == ["superseded", "due"]
        answer = await why(o, "hourly", datetime.fromisoformat("2026-11-25T23:00"))
        assert "later due time was run in its place" in answer.message
        (task,) = await tasks(o)
        assert task.labels["due"] == "2026-11-26T01:00:00+00:00"

    play(before)
    play(after)


def test_two_that_look_at_the_same_time_make_one_task(play: Play, hands: Clock) -> None:
    """Two servers on one store, or two looks of one: the write of the second is refused, and it
    looks again."""

    async def story(o: Orchestration) -> None:
        schedule = (await verbs.create(o, plan(overlap=Overlap.ALLOW), "ada")).schedule
        hands.time += timedelta(hours=1)
        await asyncio.gather(*(account(o, schedule.id, hands.time) for _ in range(5)))
        assert len(await tasks(o)) == 1

    play(story)


def test_a_clock_that_is_set_back_repeats_no_due_time(play: Play, hands: Clock) -> None:
    async def story(o: Orchestration) -> None:
        await verbs.create(o, plan(overlap=Overlap.ALLOW), "ada")
        await hands.go(o, hours=1)
        await hands.go(o, hours=1)
        hands.time -= timedelta(hours=2)
        await set_back(o, hands.time)
        await hands.go(o, hours=1)
        await hands.go(o, hours=1)
        await hands.go(o, hours=1)
        due = [task.labels["due"] for task in await tasks(o)]
        assert len(due) == len(set(due)) == 3

    play(story)


@pytest.mark.parametrize("hours_ahead", [1, 3])
def test_what_was_missed_by_a_wrong_clock_alone_is_run_when_its_time_comes(
    play: Play, hands: Clock, hours_ahead: int
) -> None:
    """Whether it was recorded alone or among others; the task is what is told of it then."""

    async def story(o: Orchestration) -> None:
        await verbs.create(o, plan(catch_up=CatchUp.NONE), "ada")
        start = hands.time
        await hands.go(o, hours=hours_ahead, minutes=10)
        due_at = datetime.fromisoformat("2026-11-25T23:00+00:00")
        assert "catch_up is none" in (await why(o, "hourly", due_at)).message
        hands.time = start
        await set_back(o, hands.time)
        await hands.go(o, hours=1)
        (task,) = await tasks(o)
        assert task.labels["due"] == due_at.isoformat()
        answer = await why(o, "hourly", due_at)
        assert answer.firing is not None
        assert answer.firing.task_id == task.id

    play(story)


def test_a_due_time_during_a_pause_is_recorded_as_such(play: Play, hands: Clock) -> None:
    async def story(o: Orchestration) -> None:
        await verbs.create(o, plan(), "ada")
        await verbs.pause(o, "hourly", "bob")
        await hands.go(o, hours=2)
        asked = datetime.fromisoformat("2026-11-26T00:00")
        assert "paused, by bob" in (await why(o, "hourly", asked)).message
        await verbs.resume(o, "hourly")
        assert await told(o) == ["paused"]
        assert "paused" in (await why(o, "hourly", asked)).message
        await hands.go(o, hours=1)
        assert await told(o) == ["paused", "due"]

    play(story)


def test_an_earlier_task_that_runs_keeps_the_next_from_starting_and_says_so(
    play: Play, hands: Clock
) -> None:
    async def story(o: Orchestration) -> None:
        await verbs.create(o, plan(), "ada")
        await hands.go(o, hours=1)
        await hands.go(o, hours=1)
        await finish(o, EventType.SUCCEEDED)
        await hands.go(o, hours=1)
        assert await told(o) == ["due", "overlap", "due"]

    play(story)


def test_cancel_running_ends_the_earlier_task(play: Play, hands: Clock) -> None:
    async def story(o: Orchestration) -> None:
        await verbs.create(o, plan(overlap=Overlap.CANCEL_RUNNING), "ada")
        await hands.go(o, hours=1)
        await hands.go(o, hours=1)
        assert [task.state for task in await tasks(o)] == [State.CANCELLED, State.QUEUED]

    play(story)


def test_failures_in_a_row_pause_a_schedule_and_a_success_starts_the_count_anew(
    play: Play, hands: Clock
) -> None:
    async def story(o: Orchestration) -> None:
        await verbs.create(o, plan(pause_after_failures=2), "ada")
        for outcome in ("FAILED", "SUCCEEDED", "FAILED", "CRASHED"):
            schedule = (await find_schedule(o, "hourly")).schedule
            assert schedule.state is ScheduleState.ACTIVE
            await hands.go(o, hours=1)
            await finish(o, EventType[outcome])
        schedule = (await find_schedule(o, "hourly")).schedule
        assert (schedule.state, schedule.failures) == (ScheduleState.PAUSED, 2)
        assert "2 tasks in a row" in schedule.state_reason

    play(story)


def test_a_task_that_is_refused_leaves_its_reason_and_the_schedule_goes_on(
    play: Play, hands: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a notebook that was moved away."""

    async def story(o: Orchestration) -> None:
        await verbs.create(o, plan(), "ada")
        kind = o.kinds["note"]

        def prepare(_: Any) -> Any:
            raise errors.NotebookNotFound("note.ipynb")

        with monkeypatch.context() as moved:
            moved.setattr(type(kind), "prepare", lambda _, spec: prepare(spec))
            await hands.go(o, hours=1)
        await hands.go(o, hours=1)
        assert await told(o) == ["refused", "due"]
        asked = datetime.fromisoformat("2026-11-25T23:00")
        assert "note.ipynb" in (await why(o, "hourly", asked)).message

    play(story)


def test_a_schedule_follows_another_and_records_why_it_did_not(play: Play, hands: Clock) -> None:
    async def story(o: Orchestration) -> None:
        await verbs.create(o, plan(), "ada")
        follower = plan(Timing(), name="report", follows=("hourly",))
        await verbs.create(o, follower, "ada")
        await hands.go(o, hours=1)
        await finish(o, EventType.SUCCEEDED)
        await finish(o, EventType.SUCCEEDED)  # the follower's
        await hands.go(o, hours=1)
        await finish(o, EventType.FAILED)
        assert await told(o, "report") == ["completion", "upstream_failed"]
        with pytest.raises(errors.InvalidRequest, match="for ever"):
            await edit(o, "hourly", Edit(changes={"follows": ["report"]}), "bea")

    play(story)


def test_a_webhook_opens_with_its_own_token_only(play: Play, hands: Clock) -> None:
    async def story(o: Orchestration) -> None:
        made = await verbs.create(o, plan(Timing(), webhook=True), "ada")
        assert made.token is not None
        for wrong in ("", made.token[:-1], made.schedule.token_sha256 or ""):
            with pytest.raises(errors.NotAuthenticated):
                await call(o, "hourly", wrong)
        task = await call(o, "hourly", made.token)
        assert task is not None
        renewed = await renew_token(o, "hourly")
        with pytest.raises(errors.NotAuthenticated):
            await call(o, "hourly", made.token)
        assert renewed.token != made.token
        events = await o.store.events(limit=1000)
        assert not any(made.token in str(event.data) for event in events)

    play(story)


def test_a_backfill_runs_what_had_no_task_and_only_that(play: Play, hands: Clock) -> None:
    async def story(o: Orchestration) -> None:
        await verbs.create(o, plan(), "ada")
        await hands.go(o, hours=1)
        period = Period(start=START - timedelta(hours=3), end=START + timedelta(hours=9))
        firings = await backfill(o, "hourly", period, "bob")
        assert [f"{one.due_at:%H}" for one in firings] == ["20", "21", "22"]
        assert await backfill(o, "hourly", period, "bob") == ()
        assert "backfill" in (await why(o, "hourly", firings[0].due_at)).message

    play(story)


def test_an_edit_changes_one_parameter_and_leaves_the_rest(play: Play, hands: Clock) -> None:
    async def story(o: Orchestration) -> None:
        await verbs.create(o, plan(), "ada")
        changes = {"submission": {"spec": {"text": "other"}}, "timing": {"every_seconds": 60}}
        after = await edit(o, "hourly", Edit(changes=changes), "bea")
        assert after.schedule.plan.submission.spec == {"text": "other"}
        assert after.schedule.plan.timing == Timing(every_seconds=60)
        assert after.words == "every minute"
        for bad in ({"timing": {"cron": "x"}}, {"nonsense": 1}, {"submission": 1}):
            with pytest.raises(errors.InvalidRequest):
                await edit(o, "hourly", Edit(changes=bad), "bea")

    play(story)


def test_a_deleted_schedule_fires_no_more_and_its_name_is_free(play: Play, hands: Clock) -> None:
    async def story(o: Orchestration) -> None:
        await verbs.create(o, plan(), "ada")
        with pytest.raises(errors.KeyTaken):
            await verbs.create(o, plan(), "ada")
        await verbs.delete(o, "hourly")
        await hands.go(o, hours=2)
        assert await tasks(o) == ()
        with pytest.raises(errors.ScheduleNotFound):
            await find_schedule(o, "hourly")
        await verbs.create(o, plan(), "ada")
        await hands.go(o, hours=1)
        assert len(await tasks(o)) == 1

    play(story)


def test_a_schedule_for_one_time_ends_after_it(play: Play, hands: Clock) -> None:
    async def story(o: Orchestration) -> None:
        await verbs.create(o, plan(Timing(at=START + timedelta(minutes=5))), "ada")
        await hands.go(o, minutes=5)
        asked = (START + timedelta(minutes=5)).replace(second=0)
        assert "was submitted" in (await why(o, "hourly", asked)).message  # that minute
        schedule = (await find_schedule(o, "hourly")).schedule
        assert (schedule.state, len(await tasks(o))) == (ScheduleState.ENDED, 1)

    play(story)


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        (plan(submission=Submission(kind="note", spec={})), errors.InvalidRequest),
        (plan(submission=Submission(kind="no-such", spec={})), errors.UnknownKind),
        (plan(submission=note("{{ no_such }}")), errors.InvalidRequest),
        (plan(follows=("nobody",)), errors.ScheduleNotFound),
        (plan(on_recovery=("nobody",)), errors.InvalidRequest),
        (plan(source="pinned"), errors.InvalidRequest),
    ],
)
def test_a_schedule_whose_task_would_be_refused_is_refused_itself(
    play: Play, hands: Clock, bad: Plan, error: type[Exception]
) -> None:
    """A typing error is to be seen now, not at six in the morning."""

    async def story(o: Orchestration) -> None:
        from opspawn_jupyter.parsing import parse

        checked = parse(Plan, {**vars(bad), "submission": vars(bad.submission)}, "plan")
        with pytest.raises(error):
            await verbs.create(o, replace(checked, submission=bad.submission), "ada")
        assert (await schedules(o)).schedules == ()
        assert await o.store.last_seq() == 0

    play(story)


def test_a_pdf_is_promised_only_where_there_is_what_prints_it(
    play: Play, hands: Clock, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CHROMIUM", raising=False)

    async def story(o: Orchestration) -> None:
        with pytest.raises(errors.InvalidRequest, match="a PDF needs Chromium or Chrome"):
            await verbs.create(o, plan(pdf=True), "ada")
        monkeypatch.setenv("CHROMIUM", str(Path(__file__)))
        assert (await verbs.create(o, plan(pdf=True), "ada")).schedule.plan.pdf

    play(story)


def test_why_tells_of_every_sort_of_moment(play: Play, hands: Clock) -> None:
    async def story(o: Orchestration) -> None:
        timing = Timing(cron="0 * * * *", timezone="Europe/Berlin", exclude_dates=("2026-11-27",))
        await verbs.create(o, plan(timing), "ada")
        await hands.go(o, hours=1)
        for moment, said in (
            ("2026-11-26T00:00", "was submitted for it"),
            ("2026-11-26T00:07", "the next after it is 2026-11-26 01:00:00 CET"),
            ("2026-11-27T12:00", "2026-11-27 is excluded"),
            ("2026-11-28T12:00", "still to come"),
            ("2026-11-20T12:00", "was made later"),
            ("2026-11-25T23:00:00+00:00", "was submitted for it"),
        ):
            answer = await why(o, "hourly", datetime.fromisoformat(moment))
            assert said in answer.message, moment
        assert Reason.OVERLAP not in await told(o)
        assert await told(o) == [Cause.DUE]

    play(story)
