"""Agents at work, in the side bar."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import expect

from tests.unit.widgets.stage import Stage, task_record
from tests.unit.widgets.test_accessibility import violations

pytestmark = pytest.mark.browser
ID = task_record()["id"]


def agent(**changes: Any) -> dict[str, Any]:
    spec = {"goal": "Which island has the heaviest penguins?"}
    return task_record(kind="agent", name="penguins", spec=spec, **changes)


def show_agents(stage: Stage) -> Any:
    stage.page.evaluate(
        """async () => {
          const { Agents } = await import("/w/agents.js");
          const { Server } = await import("/w/server.js");
          window.view = new Agents(Server.ofPage(), {});
          document.getElementById("place").replaceChildren(view.root);
        }"""
    )
    return stage.page.locator(".opspawn-agents")


def test_who_is_at_work_says_at_what(stage: Stage) -> None:
    """Nothing is shown where nobody is; what is no agent does not belong there."""
    stage.hold(task_record(id="a-notebook"))
    shown = show_agents(stage)
    stage.page.wait_for_function("fake.sent.length > 0")
    expect(shown).to_be_hidden()

    stage.hold(agent())
    stage.tell("task.submitted", ID, 6)

    expect(shown.locator("summary")).to_have_text("Agents (1)")
    expect(shown.get_by_role("listitem")).to_contain_text("Which island has the heaviest penguins?")
    # More cells may come: a bar would say that all is done.
    expect(shown.get_by_role("listitem")).to_contain_text("cell 4")
    expect(shown.locator(".opspawn-bar")).to_be_hidden()
    assert violations(stage.page) == []

    stage.hold(agent(state="success", seq=7))
    stage.tell("task.succeeded", ID, 7)
    expect(shown).to_be_hidden()


def test_what_one_asks_stands_with_it(stage: Stage) -> None:
    """Whoever looks for the agent sees why it does not go on."""
    question = {"id": "q1", "text": "May I delete it?", "detail": {}, "choices": ["yes", "no"]}
    stage.page.evaluate("one => fake.questions.push(one)", {**question, "task_id": ID})
    stage.hold(agent(state="waiting"))

    expect(show_agents(stage)).to_contain_text("asks: May I delete it?")
