"""Everybody can use the views: axe finds nothing, in light and dark."""

from __future__ import annotations

from typing import Any

import pytest

from opspawn_jupyter.model.states import State
from tests.unit.widgets.stage import Stage, board, card, failed_record, task_record

pytestmark = pytest.mark.browser

STATES = (
    "pending queued running retrying waiting success failed timed_out crashed cancelled skipped"
)
_QUESTION = {
    "id": "q1",
    "text": "Which way?",
    "detail": {"a": 1},
    "choices": [],
    "task_id": "",
    "asked_by": "",
}


def violations(page: Any) -> list[str]:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe
    # What the host page lacks around us is not ours: its heading and its landmarks.
    options = {"rules": {"page-has-heading-one": {"enabled": False}}}
    found = axe().run(page, options=options).response["violations"]
    return [f"{one['id']}: {node['html']}" for one in found for node in one["nodes"]]


@pytest.mark.parametrize("is_dark", [False, True], ids=["light", "dark"])
def test_axe_finds_nothing_in_cards_and_lists(stage: Stage, is_dark: bool) -> None:
    if is_dark:
        stage.darken()
    tasks = [
        failed_record(id=f"t{place}", state=state, name=f"task {state}", kind="agent")
        for place, state in enumerate(State)
    ]
    stage.hold(*tasks)
    stage.page.evaluate("fake.counts = [['failed', 2, 1]]")
    stage.page.evaluate("question => fake.questions.push(question)", _QUESTION)
    lights = {"executes": "pass", "same_results": "fail", "hermetic": "not_applicable"}
    verdict = {"headline": "EXECUTES", "lights": lights, "reasons": {"executes": "all ran"}}
    audit = card(task_record(kind="audit", state="success", outputs=verdict))
    for panel in (board(), card(failed_record(outputs={"rows": 3})), card(task_record()), audit):
        stage.mount(panel).locator(".opspawn-pill").first.wait_for()
        assert violations(stage.page) == []


def test_axe_finds_nothing_in_the_form(stage: Stage) -> None:
    parameters = [
        {"name": "epochs", "type": "int", "default": "5", "help": "how often"},
        {"name": "fast", "type": "bool", "default": "False", "help": ""},
        {"name": "path", "type": "str", "default": "", "help": ""},
    ]
    stage.page.evaluate(
        """async (parameters) => {
          const { RunForm } = await import("/w/form.js");
          window.form = new RunForm("a/train.ipynb", parameters);
          document.getElementById("place").replaceChildren(form.root);
        }""",
        parameters,
    )

    assert violations(stage.page) == []
    stage.page.get_by_label("epochs").fill("7")
    assert stage.page.evaluate("form.submission()") == {
        "spec": {
            "notebook": "a/train.ipynb",
            "parameters_text": {"epochs": "7"},
            "keep_on_failure": False,
        }
    }
