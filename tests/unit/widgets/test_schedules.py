"""Schedules in the side bar, and the form that makes one."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import expect

from tests.unit.widgets.stage import Stage
from tests.unit.widgets.test_accessibility import violations

pytestmark = pytest.mark.browser

WORDS = "At 06:00 on Monday through Friday, Europe/Berlin"


def schedule_view(name: str, **changes: Any) -> dict[str, Any]:
    schedule = {"state": "active", "state_reason": "", "last_task_id": None, **changes}
    return {
        "schedule": {"id": f"id-{name}", "plan": {"name": name}, **schedule},
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
        "timing": {"cron": "0 6 * * 1-5", "timezone": "Europe/Berlin"},
    }

    stage.page.evaluate("fake.refusal = 'a cron rule has five fields'")
    stage.page.get_by_label("When").fill("often")
    expect(meaning).to_have_text("a cron rule has five fields")
