"""A workflow's graph and timeline, and the repair of a run."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import expect

from tests.unit.widgets.stage import Stage, card, failed_record, task_record
from tests.unit.widgets.test_accessibility import violations

pytestmark = pytest.mark.browser

STEPS = {"ingest": [], "clean": ["ingest"], "train": ["ingest", "clean"], "report": ["train"]}


def workflow(stage: Stage, **changes: Any) -> dict[str, Any]:
    task = failed_record(kind="workflow", name="nightly", cells=[], **changes)
    steps = [{"id": id, "kind": "shell", "depends_on": on} for id, on in STEPS.items()]
    stage.page.evaluate("([id, steps]) => { fake.graphs[id] = { steps }; }", [task["id"], steps])
    return task


def part_id(step: str) -> str:
    return f"part-{step}".replace("[", "-").replace("]", "")


def part(parent: dict[str, Any], step: str, state: str, **changes: Any) -> dict[str, Any]:
    named = {"id": part_id(step), "parent_id": parent["id"], "step": step, "name": step}
    return failed_record(**{**named, "state": state, "kind": "shell", "cells": [], **changes})


def test_the_graph_and_the_timeline_say_how_each_step_stands(stage: Stage) -> None:
    """With colour, glyph and word; steps that never came say so."""
    task = workflow(stage, state="running", finished_at=None)
    stage.hold(task, part(task, "ingest", "success"), part(task, "clean", "running"))
    shown = stage.mount(card(task))

    graph = shown.locator(".opspawn-graph")
    expect(graph.get_by_role("link", name="ingest: success")).to_be_visible()
    expect(graph.get_by_label("train: pending")).to_contain_text("◌ pending")
    assert graph.locator(".opspawn-edge").count() == 4

    stage.hold(part(task, "clean", "success", seq=9))
    stage.tell("task.succeeded", "part-clean", 9)
    stage.hold(part(task, "train[0]", "failed"), part(task, "train[1]", "success"))
    stage.tell("task.submitted", part_id("train[0]"), 10)
    stage.tell("task.submitted", part_id("train[1]"), 11)

    expect(graph.get_by_role("link", name="clean: success")).to_be_visible()
    expect(graph.get_by_role("link", name="train: failed 2/2")).to_be_visible()
    expect(shown.locator(".opspawn-timeline").get_by_role("listitem")).to_have_count(4)
    assert violations(stage.page) == []


def test_a_step_stands_right_of_what_it_depends_on(stage: Stage) -> None:
    steps = [{"id": id, "kind": "shell", "depends_on": on} for id, on in STEPS.items()]
    columns = stage.page.evaluate(
        """async (steps) => {
          const { arranged } = await import("/w/workflow.js");
          return Object.fromEntries([...arranged(steps)].map(([id, { column }]) => [id, column]));
        }""",
        steps,
    )

    assert columns == {"ingest": 0, "clean": 1, "train": 2, "report": 3}


def test_parts_of_other_workflows_are_left_out(stage: Stage) -> None:
    """Everything that is submitted on the server is told to every page."""
    task = workflow(stage, state="running", finished_at=None)
    stage.hold(task, part(task, "ingest", "success"))
    shown = stage.mount(card(task))
    timeline = shown.locator(".opspawn-timeline").get_by_role("listitem")
    expect(timeline).to_have_count(1)

    stage.hold(task_record(id="stranger", parent_id="other", step="clean"))
    stage.tell("task.submitted", "stranger", 9)
    stage.hold(part(task, "clean", "success"))
    stage.tell("task.submitted", "part-clean", 10)

    expect(timeline).to_have_count(2)


def test_repair_does_again_what_did_not_succeed(stage: Stage) -> None:
    task = workflow(stage)
    stage.hold(task)
    shown = stage.mount(card(task))

    shown.get_by_role("button", name="Repair nightly").click()

    stage.page.wait_for_function("fake.sent.some(({ method }) => method === 'POST')")
    (sent,) = stage.sent()
    assert (sent["path"], sent["body"]) == (f"workflows/{task['id']}/rerun", {})


@pytest.mark.parametrize("is_dark", [False, True], ids=["light", "dark"])
def test_earlier_runs_stand_beside_each_other_and_are_compared(stage: Stage, is_dark: bool) -> None:
    """The older of two runs is what the newer one is compared with."""
    if is_dark:
        stage.darken()
    task = workflow(stage)
    earlier = {**task, "id": "run-before", "state": "success", "created_at": "2025-12-31T10:00"}
    stranger = {**earlier, "id": "run-other", "name": "nightly-eu"}
    good = part(earlier, "clean", "success", id="part-before")
    stage.hold(task, earlier, stranger, good, part(task, "clean", "failed"))
    difference = {
        "states": ["success", "failed"],
        "durations_seconds": [1.0, None],
        "parameters": {"limit": [3, None]},
        "outputs": {},
        "source": ["-retries: 1", "+retries: 2"],
    }
    comparison = {**difference, "ids": ["run-before", task["id"]], "source": []}
    stage.page.evaluate(
        "comparison => { fake.comparison = comparison; }",
        {**comparison, "steps": [{**difference, "step": "clean"}]},
    )
    shown = stage.mount(card(task))

    shown.get_by_text("Runs", exact=True).press("Enter")
    grid = shown.get_by_role("group", name="Earlier runs by step")
    states = grid.get_by_role("row", name="clean").get_by_role("link")
    expect(states).to_have_count(2)
    expect(grid.get_by_role("columnheader").nth(0)).to_contain_text("10:00")
    expect(states.nth(0)).to_have_accessible_name("clean: success")
    expect(states.nth(1)).to_have_accessible_name("clean: failed")
    grid.get_by_role("button", name="Compare with").press("Enter")

    told = shown.get_by_role("group", name="What differs")
    expect(told.get_by_role("row", name="clean")).to_contain_text("success → failed1.0 s → none")
    expect(told.locator("dd").first).to_have_text("3 → none")
    expect(told.locator("pre")).to_contain_text("+retries: 2")
    asked = [one["path"] for one in stage.sent("GET")]
    assert f"workflows/run-before/compare/{task['id']}" in asked
    assert violations(stage.page) == []

    # It stays true while it is looked at, and the keyboard stays where it was.
    stage.hold(part(task, "clean", "running"))
    stage.tell("task.started", part_id("clean"), 9)
    expect(states.nth(1)).to_have_accessible_name("clean: running")
    expect(grid.get_by_role("button", name="Compare with")).to_be_focused()
