"""Schedules in the side bar, and the form that makes one."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import expect

from tests.unit.widgets.stage import Stage
from tests.unit.widgets.test_accessibility import violations

pytestmark = pytest.mark.browser

#: A timing without any time.
NO_TIME = {"cron": None, "every_seconds": None, "at": None, "timezone": "Europe/Berlin"}
WORDS = "At 06:00 on Monday through Friday, Europe/Berlin"


def schedule_view(name: str, **changes: Any) -> dict[str, Any]:
    schedule = {"state": "active", "state_reason": "", "last_task_id": None, **changes}
    spec = {"notebook": "report.ipynb", "parameters": {"count": 4}}
    timing = {"cron": "30 2 * * 1-5", "timezone": "Europe/Berlin"}
    plan = {"name": name, "timing": timing, "overlap": "queue", "submission": {"spec": spec}}
    return {
        "schedule": {"id": f"id-{name}", "plan": plan, **schedule},
        "words": WORDS,
        "next_due_at": ["2030-01-31T05:00:00+00:00"] if schedule["state"] == "active" else [],
    }


def hold(stage: Stage, *views: dict[str, Any]) -> None:
    stage.page.evaluate("views => { fake.schedules = views; }", list(views))


def show_schedules(stage: Stage) -> Any:
    stage.page.evaluate(
        """async () => {
          const { Schedules } = await import("/w/schedules.js");
          const { Server } = await import("/w/server.js");
          window.view = new Schedules(Server.ofPage());
          document.getElementById("place").replaceChildren(view.root);
        }"""
    )
    return stage.page.locator(".opspawn-schedules")


@pytest.mark.parametrize("is_dark", [False, True], ids=["light", "dark"])
def test_each_says_when_it_is_due_and_where_it_stands(stage: Stage, is_dark: bool) -> None:
    if is_dark:
        stage.darken()
    paused = schedule_view("b", state="paused", state_reason="by ada", last_task_id="t1")
    hold(stage, schedule_view("a"), paused)

    shown = show_schedules(stage)

    first, second = shown.get_by_role("listitem").all()
    expect(first).to_contain_text("◷ active")
    expect(first).to_contain_text(WORDS)
    expect(first.locator("time")).to_have_attribute("datetime", "2030-01-31T05:00:00+00:00")
    expect(second).to_contain_text("paused: by ada")
    expect(second.get_by_role("link", name="Last run of b")).to_be_visible()
    assert violations(stage.page) == []


def test_a_pause_and_its_end_keep_the_keyboard_in_the_row(stage: Stage) -> None:
    """Whoever pressed a button that is gone then is not thrown to the top of the page."""
    hold(stage, schedule_view("a"))
    shown = show_schedules(stage)
    pause = shown.get_by_role("button", name="Pause a")
    pause.wait_for()
    hold(stage, schedule_view("a", state="paused"))

    pause.press("Enter")

    expect(shown.get_by_role("button", name="Resume a")).to_be_focused()
    (sent,) = stage.sent()
    assert sent["path"] == "schedules/id-a/pause"


def test_they_follow_their_events(stage: Stage) -> None:
    """Nothing is shown where there are none."""
    shown = show_schedules(stage)
    stage.page.wait_for_function("fake.sent.length > 0")
    expect(shown).to_be_hidden()

    hold(stage, schedule_view("a"))
    stage.tell("schedule.created", "", 6)
    expect(shown.locator("summary")).to_have_text("Schedules (1)")

    hold(stage)
    stage.tell("schedule.deleted", "", 7)
    expect(shown).to_be_hidden()


def test_what_the_server_refuses_is_told(stage: Stage) -> None:
    hold(stage, schedule_view("a"))
    shown = show_schedules(stage)
    stage.page.evaluate("fake.refusal = 'the notebook report.ipynb is no more'")

    shown.get_by_role("button", name="Run now a").click()

    expect(shown.get_by_role("alert")).to_have_text("the notebook report.ipynb is no more")


def test_the_form_says_what_a_rule_means_before_it_is_sent(stage: Stage) -> None:
    times = [f"2030-01-{day:02}T05:00:00+00:00" for day in range(1, 6)]
    stage.page.evaluate(
        """async ([words, times]) => {
          fake.timing = { words, next_due_at: times };
          const { RunForm } = await import("/w/form.js"), { Server } = await import("/w/server.js");
          window.form = new RunForm("a/report.ipynb", [], Server.ofPage());
          document.getElementById("place").replaceChildren(form.root);
        }""",
        [WORDS, times],
    )
    zone = stage.page.get_by_label("Time zone")
    zone.fill("Europe/Berlin")
    meaning = stage.page.get_by_role("status")
    expect(meaning).to_contain_text(WORDS)
    expect(meaning.locator("time")).to_have_count(5)
    expect(meaning.locator("time").first).to_contain_text("6:00")
    assert violations(stage.page) == []
    assert stage.page.evaluate("form.plan()") == {
        "name": "report",
        "submission": {
            "spec": {
                "notebook": "a/report.ipynb",
                "parameters_text": {},
                "keep_on_failure": False,
            }
        },
        "timing": {**NO_TIME, "cron": "0 6 * * 1-5"},
    }

    stage.page.evaluate("fake.refusal = 'a cron rule has five fields'")
    stage.page.get_by_label("When").select_option("by a cron rule")
    stage.page.get_by_role("textbox", name="Cron rule").fill("often")
    expect(meaning).to_have_text("a cron rule has five fields")


@pytest.mark.parametrize(
    ("way", "fields", "timing"),
    [
        ("on days of the week", {"Time of day": "23:05"}, {"cron": "5 23 * * 1-5"}),
        ("every so often", {"How many": "90"}, {"every_seconds": 324_000}),
        ("once", {"Day and time": "2030-07-01T09:00"}, {"at": "2030-07-01T07:00:00.000Z"}),
        ("once", {"Day and time": "2030-01-01T09:00"}, {"at": "2030-01-01T08:00:00.000Z"}),
        ("by a cron rule", {"Cron rule": "@daily"}, {"cron": "@daily"}),
        ("only when somebody starts it", {}, {}),
    ],
)
def test_a_time_is_given_in_the_words_of_people(
    stage: Stage, way: str, fields: dict[str, str], timing: dict[str, Any]
) -> None:
    """Cron rules are for those who know them; summer time is for nobody to reckon with."""
    stage.page.evaluate(
        """async () => {
          fake.timing = { words: "then", next_due_at: [] };
          const { TimingFields } = await import("/w/timing.js");
          const { Server } = await import("/w/server.js");
          window.fields = new TimingFields(Server.ofPage(), { timezone: "Europe/Berlin" });
          document.getElementById("place").replaceChildren(fields.root);
        }"""
    )

    stage.page.get_by_label("When").select_option(way)
    for label, value in fields.items():
        stage.page.get_by_label(label, exact=True).fill(value)

    assert stage.page.evaluate("fields.timing()") == {**NO_TIME, **timing}
    # What was given is shown again when it is to be changed.
    stage.page.evaluate(
        """async (timing) => {
          const { TimingFields } = await import("/w/timing.js");
          const { Server } = await import("/w/server.js");
          window.fields = new TimingFields(Server.ofPage(), timing);
        }""",
        {**NO_TIME, **timing},
    )
    assert stage.page.evaluate("fields.timing()") == {**NO_TIME, **timing}


def test_one_is_edited_where_it_stands(stage: Stage) -> None:
    """Only what was changed is sent: what the form does not show stays as it is."""
    hold(stage, schedule_view("a"))
    parameter = {"name": "count", "type": "int", "default": "3", "help": ""}
    stage.page.evaluate(
        """(parameters) => {
          fake.parameters = parameters;
          fake.timing = { words: "then", next_due_at: [] };
        }""",
        [parameter],
    )
    shown = show_schedules(stage)
    edit = shown.get_by_role("button", name="Edit a")

    edit.press("Enter")
    form = shown.get_by_role("form", name="Edit a")
    expect(form.get_by_label("Time of day")).to_have_value("02:30")
    expect(form.get_by_label("count")).to_have_value("4")
    assert violations(stage.page) == []
    form.get_by_label("count").fill("5")
    form.get_by_role("checkbox", name="Fri").uncheck()
    form.get_by_role("button", name="Save").click()

    expect(form).to_have_count(0)
    expect(edit).to_be_focused()
    (sent,) = stage.sent("PATCH")
    assert sent["path"] == "schedules/id-a"
    spec = {"parameters_text": {"count": "5"}, "parameters": {}, "keep_on_failure": False}
    assert sent["body"] == {
        "changes": {
            "name": "a",
            "timing": {**NO_TIME, "cron": "30 2 * * 1-4"},
            "overlap": "queue",
            "submission": {"spec": spec},
        }
    }


def test_one_is_deleted_by_a_second_press(stage: Stage) -> None:
    """A slip of the hand ends no schedule."""
    hold(stage, schedule_view("a"))
    shown = show_schedules(stage)
    delete = shown.get_by_role("button", name="Delete a")

    delete.press("Enter")
    really = shown.get_by_role("button", name="Really delete a")
    expect(really).to_be_focused()
    really.press("Tab")
    expect(really).to_have_count(0)
    assert stage.sent("DELETE") == []

    delete.click()
    hold(stage, {**schedule_view("a"), "words": "every hour"})
    stage.tell("schedule.edited")
    expect(shown).to_contain_text("every hour")
    hold(stage)
    really.click()
    expect(shown).to_be_hidden()
    (sent,) = stage.sent("DELETE")
    assert sent["path"] == "schedules/id-a"
