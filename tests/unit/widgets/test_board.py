"""The list of tasks: paged, patched by key, and quick with thousands."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import expect

from tests.unit.widgets.stage import Stage, board, failed_record, task_record

pytestmark = pytest.mark.browser


def numbered(number: int, **changes: Any) -> dict[str, Any]:
    at = f"2026-01-01T{number // 3600:02}:{number // 60 % 60:02}:{number % 60:02}+00:00"
    named = {"id": f"task-{number:05}", "name": f"n{number}", "created_at": at}
    return task_record(**{**named, **changes})


def test_the_newest_come_first_and_new_ones_on_top(stage: Stage) -> None:
    stage.hold(numbered(1), numbered(2, state="queued"))
    shown = stage.mount(board())
    expect(shown.locator(".opspawn-open")).to_have_text(["n2", "n1"])

    stage.hold(numbered(3))
    stage.tell("task.submitted", "task-00003", 6)

    expect(shown.locator(".opspawn-open")).to_have_text(["n3", "n2", "n1"])


def test_two_thousand_tasks_come_a_page_at_a_time(stage: Stage) -> None:
    """Rows are kept by task: an event touches one row, however many there are."""
    stage.hold(*(numbered(number) for number in range(2000)))
    shown = stage.mount(board())
    expect(shown.locator(".opspawn-row")).to_have_count(50)

    # Playwright's own search by role reads the style of every element, which takes it minutes.
    stage.page.evaluate(
        """async () => {
          const rows = document.getElementsByClassName("opspawn-row");
          while (!view.further.hidden) {
            const before = rows.length;
            view.further.click();
            while (rows.length === before) await new Promise(requestAnimationFrame);
          }
        }"""
    )
    assert stage.page.locator(".opspawn-row").count() == 2000
    requests = len(stage.sent("GET"))
    # To count the whole history for each page would take longer than the page.
    assert [one["path"] for one in stage.sent()] == ["sql"]

    changes = """window.touched = new Set();
      new MutationObserver((found) => found.forEach(({ target }) => {
        const row = (target.parentElement ?? target).closest(".opspawn-row");
        touched.add(row ? row.dataset.id : target.className);
      })).observe(document.querySelector(".opspawn-rows"), {
        subtree: true, childList: true, characterData: true,
      });
      view.ticker && clearInterval(view.ticker);"""
    stage.page.evaluate(changes)
    stage.page.evaluate(
        """() => {
          for (let seq = 6; seq < 106; seq++) {
            const data = { index: seq % 4 };
            fake.tell({ type: "cell.started", task_id: "task-00005", seq, attempt: 1, data });
          }
        }"""
    )
    expect(shown.locator('[data-id="task-00005"] .opspawn-said')).to_have_text("step(0)")
    assert stage.page.evaluate("[...touched]") == ["task-00005"]
    assert len(stage.sent("GET")) == requests


def test_the_filter_asks_the_server(stage: Stage) -> None:
    """The failed one among thousands is rarely on the first page."""
    stage.hold(numbered(1), failed_record(id="f", name="broken"))
    shown = stage.mount(board())
    expect(shown.locator(".opspawn-row")).to_have_count(2)

    shown.get_by_label("Show tasks in this state").select_option("failed")

    expect(shown.locator(".opspawn-open")).to_have_text(["broken"])
    assert any("state=failed" in one["query"] for one in stage.sent("GET"))


def test_a_row_opens_as_a_card(stage: Stage) -> None:
    stage.hold(failed_record())
    shown = stage.mount(board())

    shown.get_by_role("button", name="penguins", exact=True).click()
    expect(shown.locator(".opspawn-card")).to_contain_text("KeyError: 'price'")
    shown.get_by_role("button", name="penguins", exact=True).press("Enter")
    expect(shown.locator(".opspawn-card")).to_have_count(0)


def test_many_changed_tasks_are_read_with_one_request(stage: Stage) -> None:
    """A hundred runs that end at once must not become a hundred requests."""
    stage.hold(*(numbered(number) for number in range(40)))
    shown = stage.mount(board())
    expect(shown.locator(".opspawn-row")).to_have_count(40)
    before = len(stage.sent("GET"))

    stage.hold(*(numbered(number, state="success", seq=9) for number in range(40)))
    stage.page.evaluate(
        """() => {
          for (const task_id of [...fake.tasks.keys()]) {
            fake.tell({ type: "task.succeeded", task_id, seq: 9, data: {} });
          }
        }"""
    )

    expect(shown.locator(".opspawn-is-success")).to_have_count(40)
    assert len(stage.sent("GET")) - before == 1


def test_without_a_server_it_is_a_picture(stage: Stage) -> None:
    shown = stage.mount(board(numbered(1), failed_record()), has_server=False)

    expect(shown.locator(".opspawn-row")).to_have_count(2)
    expect(shown.get_by_role("textbox")).to_have_count(0)
    assert stage.page.evaluate("fake.sent.length") == 0


def test_parts_of_a_workflow_come_only_when_asked_for(stage: Stage) -> None:
    """A workflow of fifty steps must not push everything else off the list."""
    part = numbered(2, parent_id="task-00001", step="clean")
    stage.hold(numbered(1, kind="workflow"), part)
    shown = stage.mount(board(top=True))
    expect(shown.locator(".opspawn-open")).to_have_text(["n1"])
    expect(shown.locator(".opspawn-kind")).to_have_text("⇶ workflow")

    stage.hold(numbered(3, parent_id="task-00001", step="fit"), numbered(4))
    stage.tell("task.submitted", "task-00003", 6)
    stage.tell("task.submitted", "task-00004", 7)
    expect(shown.locator(".opspawn-open")).to_have_text(["n4", "n1"])

    shown.get_by_label("parts of other tasks").press("Space")
    expect(shown.locator(".opspawn-open")).to_have_text(["n4", "n3", "n2", "n1"])


def test_it_says_how_many_are_in_which_state(stage: Stage) -> None:
    """Of all there are, not of the page that is shown; where parts are hidden, without them."""
    stage.hold(numbered(1))
    stage.page.evaluate("fake.counts = [['success', 9, 4], ['running', 1, 1], ['failed', 2, 0]]")
    shown = stage.mount(board(top=True))
    counts = shown.locator(".opspawn-counts")
    expect(counts).to_have_text("✓ success 4 · ▶ running 1")

    shown.get_by_label("parts of other tasks").check()
    expect(counts).to_have_text("✓ success 9 · ▶ running 1 · ✗ failed 2")


def test_what_a_command_narrowed_down_has_no_counts(stage: Stage) -> None:
    """They would be of other tasks than those listed."""
    stage.hold(numbered(1))
    shown = stage.mount(board(name="n"))

    expect(shown.locator(".opspawn-open")).to_have_text(["n1"])
    assert stage.sent() == []


def test_an_agent_and_what_it_asks_are_seen_in_the_list(stage: Stage) -> None:
    """Nobody has to open each task to find the one that waits for an answer."""
    stage.hold(numbered(1, kind="agent", state="waiting"), numbered(2))
    shown = stage.mount(board())
    row = shown.locator('[data-id="task-00001"]')
    expect(row.locator(".opspawn-kind")).to_have_text("✦ agent")
    question = {"id": "q", "text": "May I?", "detail": {}, "choices": ["yes"], "asked_by": ""}

    held = {**question, "task_id": "task-00001"}
    stage.page.evaluate("question => fake.questions.push(question)", held)
    stage.tell("question.asked", "task-00001", 6)

    expect(row.locator(".opspawn-said")).to_have_text("asks: May I?")
    shown.get_by_role("button", name="Yes: May I?").click()
    expect(row.locator(".opspawn-said")).not_to_contain_text("May I?")
