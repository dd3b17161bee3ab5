"""The side bar as a whole: schedules, agents, questions and tasks above each other."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.unit.widgets.stage import Stage, failed_record, task_record
from tests.unit.widgets.test_accessibility import violations
from tests.unit.widgets.test_schedules import hold, schedule_view

pytestmark = pytest.mark.browser

_SIDE_BAR = """async () => {
  const names = ["agents", "board", "schedules", "server"];
  const modules = await Promise.all(names.map((name) => import(`/w/${name}.js`)));
  const { Agents, Board, Schedules, Server } = Object.assign({}, ...modules);
  const server = Server.ofPage(), place = document.getElementById("place");
  const tasks = { server, query: { top: true }, title: "Background tasks" };
  const views = [new Schedules(server), new Agents(server, {}), new Board(tasks)];
  window.view = { close: () => views.forEach((view) => view.close()) };
  place.className = "opspawn-side";
  place.style.width = "300px";
  place.replaceChildren(...views.map(({ root }) => root));
}"""
_QUESTION = {
    "id": "q1",
    "text": "May the agent call run_python?",
    "detail": {"arguments": {"code": "1 + 1"}},
    "choices": ["yes", "no"],
    "task_id": "an-agent",
    "asked_by": "",
}


@pytest.mark.parametrize("is_dark", [False, True], ids=["light", "dark"])
def test_axe_finds_nothing_in_all_of_it(stage: Stage, is_dark: bool) -> None:
    """What is fine alone may repeat an id, a name or a landmark beside the others."""
    if is_dark:
        stage.darken()
    agent = task_record(id="an-agent", kind="agent", name="counter", state="waiting")
    stage.hold(agent, failed_record(id="a-failure"), task_record(id="a-run", name="train"))
    hold(stage, schedule_view("a"), schedule_view("b", state="paused", state_reason="by ada"))
    stage.page.evaluate("one => fake.questions.push(one)", _QUESTION)
    stage.page.evaluate("fake.counts = [['running', 1, 1], ['failed', 1, 1]]")

    stage.page.evaluate(_SIDE_BAR)
    side = stage.page.locator(".opspawn-side")
    expect(side.locator(".opspawn-schedule")).to_have_count(2)
    expect(side.locator(".opspawn-question")).to_have_count(1)
    expect(side.locator(".opspawn-board").last.locator(".opspawn-row")).to_have_count(3)
    side.get_by_role("button", name="Edit a").click()
    side.locator(".opspawn-edit").wait_for()
    side.locator(".opspawn-board").last.get_by_role("button", name="penguins", exact=True).click()
    side.locator(".opspawn-card").wait_for()

    assert violations(stage.page) == []
