"""Schedules that follow workflows, whoever runs them."""

from __future__ import annotations

from typing import Any

import pytest

from opspawn_jupyter import errors
from opspawn_jupyter.model.schedule import Timing
from opspawn_jupyter.model.schedule_view import Edit
from opspawn_jupyter.model.states import EventType
from opspawn_jupyter.model.task import Submission, Task
from opspawn_jupyter.model.work import TakeRequest
from opspawn_jupyter.orchestrator import schedule as verbs
from opspawn_jupyter.orchestrator.context import Orchestration
from opspawn_jupyter.orchestrator.report import report
from opspawn_jupyter.orchestrator.schedule_edit import edit
from opspawn_jupyter.orchestrator.schedule_history import history
from opspawn_jupyter.orchestrator.schedule_loop import begin
from opspawn_jupyter.orchestrator.schedule_outcome import follow_up
from opspawn_jupyter.orchestrator.submit import submit
from opspawn_jupyter.orchestrator.take import take
from tests.unit.orchestrator.schedule_stage import Clock, Play, plan, tasks, told
from tests.unit.orchestrator.stage import NoteKind, of, reported

FILE = "flows/nightly.yaml"


@pytest.fixture
def hands(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def workflow(**given: Any) -> Submission:
    return Submission(kind="workflow", spec={"text": "steps", "path": FILE}, **given)


async def ready(o: Orchestration) -> None:
    """There is a workflow's file, and a kind that runs it."""
    o.kinds["workflow"] = NoteKind()  # type: ignore[index]
    file = o.settings.root_directory / FILE
    file.parent.mkdir(exist_ok=True)
    file.write_text("name: nightly")


async def ran(o: Orchestration, outcome: EventType, **given: Any) -> Task:
    """Somebody ran the workflow."""
    task, _ = await submit(o, workflow(**given), "bob")
    await take(o, "w", TakeRequest(free_slots=1, wait_seconds=0))
    steps = [reported(EventType.STARTED, 1, worker="w")]
    steps.append(reported(outcome, 2, error={"name": "E", "message": "m"}))
    await report(o, "w", of(task, *steps))
    ended = await o.store.task(task.id)
    assert ended is not None
    return ended


def follower(*workflows: str, **given: Any) -> Any:
    return plan(Timing(), name="report", follows_workflows=workflows, **given)


def test_each_success_of_a_workflow_starts_a_task_whoever_ran_it(play: Play, hands: Clock) -> None:
    async def story(o: Orchestration) -> None:
        await ready(o)
        view = await verbs.create(o, follower(str(o.settings.root_directory / FILE)), "ada")
        assert view.words == f"after each success of the workflow {FILE}"
        run = await ran(o, EventType.SUCCEEDED)
        await follow_up(o, run)
        await follow_up(o, run)  # told twice, started once
        await follow_up(o, await ran(o, EventType.FAILED))
        assert await told(o, "report") == ["completion", "upstream_failed"]
        assert [task.kind for task in await tasks(o)].count("note") == 1

    play(story)


def test_a_run_that_ended_with_the_last_server_is_told_of_at_the_next_start(
    play: Play, hands: Clock
) -> None:
    async def before(o: Orchestration) -> None:
        await ready(o)
        await ran(o, EventType.SUCCEEDED, name="nightly")  # before the schedule was made: no news
        hands.time = hands.time.replace(second=40)
        await verbs.create(o, follower("nightly"), "ada")
        hands.time = hands.time.replace(second=50)
        await ran(o, EventType.SUCCEEDED, name="nightly")

    async def after(o: Orchestration) -> None:
        await begin(o)
        await begin(o)
        assert await told(o, "report") == ["completion"]

    play(before)
    play(after)


def test_what_there_is_none_of_and_what_would_never_end_is_refused(
    play: Play, hands: Clock
) -> None:
    async def story(o: Orchestration) -> None:
        await ready(o)
        for missing in ("flows/no.yaml", "../outside.yaml", "never-run"):
            with pytest.raises(errors.NotFound):
                await verbs.create(o, follower(missing), "ada")
        with pytest.raises(errors.InvalidRequest, match="for ever"):
            await verbs.create(o, follower(FILE, submission=workflow()), "ada")
        await verbs.create(o, follower(FILE), "ada")
        again = plan(Timing(), name="again", follows=("report",), submission=workflow())
        with pytest.raises(errors.InvalidRequest, match="for ever"):
            await verbs.create(o, again, "ada")
        assert o.triggers.after_schedule("report") == ()

    play(story)


def test_a_deleted_or_changed_follower_is_concerned_no_more(play: Play, hands: Clock) -> None:
    async def story(o: Orchestration) -> None:
        await ready(o)
        await verbs.create(o, follower(FILE), "ada")
        await edit(o, "report", Edit(changes={"follows_workflows": [], "webhook": True}), "bea")
        await follow_up(o, await ran(o, EventType.SUCCEEDED))
        assert (await history(o, "report", 10, None)).firings == ()
        await edit(o, "report", Edit(changes={"follows_workflows": [FILE]}), "bea")
        await verbs.delete(o, "report")
        assert o.triggers.after_workflow(await ran(o, EventType.SUCCEEDED)) == ()

    play(story)
