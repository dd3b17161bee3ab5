"""Changes of a schedule: what is given is changed, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from opspawn_jupyter import errors
from opspawn_jupyter.client.schedule_text import schedule_card
from opspawn_jupyter.model.schedule import Plan, Timing
from opspawn_jupyter.model.schedule_view import Edit
from opspawn_jupyter.model.states import EventType
from opspawn_jupyter.model.task import Submission
from opspawn_jupyter.orchestrator import schedule as verbs
from opspawn_jupyter.orchestrator.context import Orchestration
from opspawn_jupyter.orchestrator.schedule_edit import edit
from opspawn_jupyter.orchestrator.schedule_files import latest_link
from opspawn_jupyter.orchestrator.schedule_view import find_schedule
from tests.unit.orchestrator.schedule_stage import Clock, Play, plan, tasks, told
from tests.unit.orchestrator.stage import note


@pytest.fixture
def hands(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def named(name: str) -> Edit:
    return Edit(changes={"name": name})


def test_a_new_name_takes_history_followers_and_the_link_with_it(play: Play, hands: Clock) -> None:
    """The old name leads to it still, and is nobody else's."""

    async def story(o: Orchestration) -> None:
        await verbs.create(o, plan(), "ada")
        await verbs.create(o, plan(Timing(), name="report", follows=("hourly",)), "ada")
        await hands.go(o, hours=1)
        link = latest_link(o.settings, "hourly")
        link.parent.mkdir(parents=True)
        link.symlink_to("somewhere")

        after = await edit(o, "hourly", named("every hour"), "bea")

        assert after.schedule.name == "every hour"
        assert await told(o, "every hour") == await told(o, "hourly") == ["due"]
        assert (await find_schedule(o, "report")).schedule.plan.follows == ("every hour",)
        assert latest_link(o.settings, "every hour").is_symlink()
        assert not link.is_symlink()
        with pytest.raises(errors.KeyTaken, match="earlier name of every hour"):
            await verbs.create(o, plan(), "ada")
        await hands.go(o, hours=1)
        assert [task.labels["schedule"] for task in await tasks(o)] == ["hourly"]  # it still runs
        assert await told(o, "every hour") == ["due", "overlap"]

    play(story)


def test_a_name_can_be_given_back_and_outlives_a_restart(play: Play, hands: Clock) -> None:
    async def before(o: Orchestration) -> None:
        await verbs.create(o, plan(), "ada")
        await edit(o, "hourly", named("b"), "bea")

    async def after(o: Orchestration) -> None:
        assert (await find_schedule(o, "hourly")).schedule.name == "b"
        await edit(o, "b", named("hourly"), "bea")
        await verbs.delete(o, "hourly")
        assert (await verbs.create(o, plan(name="b"), "ada")).schedule.name == "b"

    play(before)
    play(after)


@pytest.mark.parametrize(
    ("name", "error"),
    [("other", errors.KeyTaken), ("", errors.InvalidRequest), ("a/b", errors.InvalidRequest)],
)
def test_a_name_that_cannot_be_is_refused_and_nothing_changes(
    play: Play, hands: Clock, name: str, error: type[Exception]
) -> None:
    async def story(o: Orchestration) -> None:
        await verbs.create(o, plan(), "ada")
        await verbs.create(o, plan(name="other"), "ada")
        seq = await o.store.last_seq()
        with pytest.raises(error):
            await edit(o, "hourly", named(name), "bea")
        assert await o.store.last_seq() == seq

    play(story)


def spec_after(play: Play, asked: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """A submission's spec after it was edited so."""
    found: list[Any] = []

    async def story(o: Orchestration) -> None:
        submission = Submission(kind="note", spec={"text": "t", **asked})
        await verbs.create(o, replace(plan(), submission=submission), "ada")
        edited = await edit(o, "hourly", Edit(changes={"submission": {"spec": changes}}), "bea")
        found.append(edited.schedule.plan.submission.spec)

    play(story)
    return {name: found[0].get(name) for name in ("parameters", "parameters_text")}


def test_one_parameter_is_changed_and_the_others_stay(play: Play, hands: Clock) -> None:
    """Typed and as text are two ways to give the same one; null takes it out."""
    asked = {"parameters": {"a": 1, "b": 2}, "parameters_text": {"c": "3", "d": "4"}}
    changes = {"parameters_text": {"a": "5", "d": None}}

    assert spec_after(play, asked, changes) == {
        "parameters": {"b": 2},
        "parameters_text": {"c": "3", "a": "5"},
    }


def test_a_webhook_that_is_added_shows_its_token_once(play: Play, hands: Clock) -> None:
    async def story(o: Orchestration) -> None:
        await verbs.create(o, plan(), "ada")
        first = await edit(o, "hourly", Edit(changes={"webhook": True}), "bea")
        assert first.token is not None
        assert (await edit(o, "hourly", Edit(changes={"html": True}), "bea")).token is None

    play(story)


def test_a_plan_is_not_changed_by_reading_it(play: Play, hands: Clock) -> None:
    """An edit that names one field sends the rest through the wire and back."""

    async def story(o: Orchestration) -> None:
        asked: Plan = plan(
            Timing(every_seconds=60, exclude_dates=("2026-12-25",)),
            submission=note("x", labels={"team": "a"}),
            keep_runs=3,
        )
        await verbs.create(o, asked, "ada")
        after = await edit(o, "hourly", Edit(changes={"html": True}), "bea")
        assert after.schedule.plan == replace(asked, html=True)

    play(story)


def test_who_edits_and_why_is_kept_with_the_change(play: Play, hands: Clock) -> None:
    """An inspection asks for it long after the change, and after others."""

    async def story(o: Orchestration) -> None:
        await verbs.create(o, plan(), "ada")
        because = Edit(changes={"html": True}, reason=" the board wants pages ")
        first = await edit(o, "hourly", because, "bea")
        second = await edit(o, "hourly", Edit(changes={"html": False}), "ada")

        assert "last edited by bea: the board wants pages" in schedule_card(first)
        assert (second.schedule.edited_by, second.schedule.edit_reason) == ("ada", "")
        events = await o.store.events()
        kept = [one.data["content"] for one in events if one.type is EventType.SCHEDULE_EDITED]
        said = [(one["edited_by"], one["edit_reason"]) for one in kept]
        assert said == [("bea", "the board wants pages"), ("ada", "")]
        with pytest.raises(errors.InvalidRequest, match="at most 1000 characters"):
            await edit(o, "hourly", Edit(changes={"html": True}, reason="x" * 1001), "ada")

    play(story)
