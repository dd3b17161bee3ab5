"""Workflows from their start to their end, over the real verbs, store, queue and drivers."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from opspawn_jupyter.client import workflow_html, workflow_text
from opspawn_jupyter.errors import IllegalTransition, InvalidRequest
from opspawn_jupyter.model.question import Answer, Question
from opspawn_jupyter.model.states import State
from opspawn_jupyter.model.workflow_view import RerunRequest
from opspawn_jupyter.orchestrator.cancel import cancel
from opspawn_jupyter.orchestrator.question import answer, questions
from opspawn_jupyter.orchestrator.workflow.compare import compare
from opspawn_jupyter.orchestrator.workflow.explain import explain
from opspawn_jupyter.orchestrator.workflow.history import view
from opspawn_jupyter.orchestrator.workflow.rerun import rerun
from tests.unit.server.workflow_world import World, step


def test_values_pass_from_step_to_step(play: Callable[..., None]) -> None:
    """The reason for a workflow: what one step gives, the next one gets, with its type."""

    async def story(w: World) -> None:
        graph = {
            "parameters": {"rows": 3},
            "tasks": [
                step("a", config={"give": {"rows": "${{ parameters.rows }}", "name": "x"}}),
                step("b", config={"give": {"got": "${{ tasks.a.outputs.rows }}"}}),
                step("c", config={"give": {"text": "${{ tasks.a.outputs.name }}!"}}),
            ],
            "outputs": {"sum": "${{ tasks.b.outputs.got + 1 }}"},
        }
        done = await w.run(graph, parameters={"rows": 41})
        children = await w.children(done)
        given = json.loads(
            (w.o.settings.root_directory / children["b"].run_directory / "inputs.json").read_text()
        )

        assert (done.state, done.outputs) == (State.SUCCESS, {"sum": 42})
        assert children["b"].outputs == {"got": 41}
        assert children["c"].outputs == {"text": "x!"}
        assert given["tasks"]["a"]["outputs"] == {"rows": 41, "name": "x"}
        assert {child.parent_id for child in children.values()} == {done.id}

    play(story)


def test_a_failed_step_stops_what_follows_and_nothing_else(play: Callable[..., None]) -> None:
    """A run that goes on with half its data is worse than one that stops."""

    async def story(w: World) -> None:
        graph = {
            "tasks": [
                step("a", config={"fail": True}),
                step("b", "a"),
                step("c", "b"),
                step("other"),
                step("clean", "a", trigger_rule="one_failed"),
            ]
        }
        done = await w.run(graph)
        children = await w.children(done)

        assert done.state is State.FAILED
        assert done.error is not None
        assert "step 'a' failed: it broke" in done.error.message
        assert await w.states(done) == {
            "a": "failed",
            "b": "skipped",
            "c": "skipped",
            "other": "success",
            "clean": "success",
        }
        reason = children["b"].error
        assert reason is not None
        assert "step 'a' is failed" in reason.message

    play(story)


def test_conditions_skip_a_step_and_say_so(play: Callable[..., None]) -> None:
    """A step that did not run has to tell why, or somebody will search for it."""

    async def story(w: World) -> None:
        graph = {
            "tasks": [
                step("a", config={"give": {"n": 1}}),
                step("big", when="tasks.a.outputs.n > 10"),
                step("small", when="${{ tasks.a.outputs.n < 10 }}"),
                step("end", "big", "small", when="none_failed"),
            ]
        }
        done = await w.run(graph)
        skipped = (await w.children(done))["big"].error

        assert done.state is State.SUCCESS
        assert (await w.states(done))["big"] == "skipped"
        assert (await w.states(done))["end"] == "success"
        assert skipped is not None
        assert skipped.message == "its condition does not hold: tasks.a.outputs.n > 10"

    play(story)


def test_for_each_makes_a_task_of_each_item_and_gathers_their_outputs(
    play: Callable[..., None],
) -> None:
    """Fan-out and fan-in, with a limit on how many run at once."""

    async def story(w: World) -> None:
        graph = {
            "tasks": [
                step("list", config={"give": {"cities": ["Rome", "Oslo", "Lima", "Kyiv"]}}),
                step(
                    "each",
                    for_each="${{ tasks.list.outputs.cities }}",
                    max_parallel=2,
                    config={"give": {"city": "${{ item }}"}},
                ),
                step(
                    "pairs",
                    matrix={"x": [1, 2], "y": ["a", "b"]},
                    config={"give": {"p": "${{ item.x }}${{ item.y }}"}},
                ),
                step("none", for_each=[], config={"give": {"z": 1}}),
                step("all", "none", config={"give": {"all": "${{ tasks.each.outputs.city }}"}}),
            ],
            "outputs": {
                "all": "${{ tasks.all.outputs.all }}",
                "pairs": "${{ tasks.pairs.outputs.p }}",
                "none": "${{ tasks.none.outputs.z }}",
            },
        }
        done = await w.run(graph)

        assert done.state is State.SUCCESS
        assert done.outputs == {
            "all": ["Rome", "Oslo", "Lima", "Kyiv"],
            "pairs": ["1a", "1b", "2a", "2b"],
            "none": [],
        }
        assert "each[3]" in await w.states(done)
        assert done.progress is not None
        assert done.progress.text == "5 of 5 steps"

    play(story)


def test_no_more_steps_run_at_once_than_the_workflow_allows(play: Callable[..., None]) -> None:
    """Some steps share what must not be used by too many."""

    async def story(w: World) -> None:
        graph = {"max_parallel": 2, "tasks": [step(f"s{number}") for number in range(8)]}
        done = await w.run(graph)

        assert done.state is State.SUCCESS
        assert sum(w.ran.values()) == 8
        assert w.most_at_once <= 2

    play(story)


def test_a_workflow_can_end_early_without_failure(play: Callable[..., None]) -> None:
    """Nothing new to do is no error."""

    async def story(w: World) -> None:
        graph = {
            "tasks": [
                step("check", config={"give": {"new": 0}}, end_when="tasks.check.outputs.new == 0"),
                step("load", "check"),
            ]
        }
        done = await w.run(graph)
        skipped = (await w.children(done))["load"].error

        assert done.state is State.SUCCESS
        assert skipped is not None
        assert skipped.message == "the workflow ended early after step 'check'"

    play(story)


@pytest.mark.parametrize(("said", "state"), [("yes", "success"), ("no", "skipped")])
def test_a_person_is_asked_before_a_step_runs(
    play: Callable[..., None], said: str, state: str
) -> None:
    """What is dangerous waits for somebody, without holding a worker."""

    async def story(w: World) -> None:
        graph = {
            "tasks": [
                step("a", config={"give": {"rows": 7}}),
                step("b", approve="Load ${{ tasks.a.outputs.rows }} rows?"),
                {"id": "ask", "approve": "Really?", "depends_on": ["a"]},
            ]
        }
        workflow = await w.submit(graph)

        async def both() -> tuple[Question, ...]:
            asked = await questions(w.o)
            return asked if len(asked) == 2 else ()

        async def told() -> bool:
            task = await w.o.store.task(workflow.id)
            said = task.progress.text if task and task.progress else ""
            return said == "1 of 3 steps, 2 wait for an answer"

        asked = await w.until(both)
        await w.until(told)  # who waits for the workflow learns why it does not go on
        for question in asked:
            await answer(w.o, question.id, Answer(answer=said), "eve")
        done = await w.end(workflow.id)
        children = await w.children(done)

        assert {question.text for question in asked} == {"Load 7 rows?", "Really?"}
        assert {question.detail["step"] for question in asked} == {"b", "ask"}
        assert {question.detail["workflow"] for question in asked} == {done.name}
        assert done.state is State.SUCCESS
        assert await w.states(done) == {"a": "success", "b": state, "ask": state}
        if said == "yes":
            assert children["ask"].outputs == {"answer": "yes", "comment": "", "by": "eve"}

    play(story)


def test_a_workflow_is_a_step_of_another(play: Callable[..., None], tmp_path: Path) -> None:
    """What is used in several places is written once."""
    inner = "tasks:\n  - {id: x, plugin: work, config: {give: {n: '${{ parameters.k }}'}}}\n"
    outputs = "parameters: {k: 1}\noutputs: {n: '${{ tasks.x.outputs.n }}'}\n"
    (tmp_path / "inner.yaml").write_text(inner + outputs)

    async def story(w: World) -> None:
        graph = {
            "tasks": [
                {"id": "sub", "workflow": "inner.yaml", "with": {"k": 5}},
                step("after", config={"give": {"m": "${{ tasks.sub.outputs.n }}"}}),
            ]
        }
        done = await w.run(graph)

        assert done.state is State.SUCCESS
        assert (await w.children(done))["after"].outputs == {"m": 5}

    play(story)


def test_cancelling_a_workflow_ends_its_steps(play: Callable[..., None]) -> None:
    """Nothing of it may go on in the background."""

    async def story(w: World) -> None:
        graph = {"tasks": [step("a", config={"hold": True}), step("b", "a")]}
        workflow = await w.submit(graph)
        await w.until(lambda: w.is_running("a"))
        await cancel(w.o, workflow.id, "ada")
        done = await w.end(workflow.id)

        assert done.state is State.CANCELLED
        assert await w.states(done) == {"a": "cancelled", "b": "skipped"}

    play(story)


def test_a_restart_goes_on_and_runs_nothing_twice(play: Callable[..., None]) -> None:
    """The server may end at whatever moment; the workflow does not."""
    ran: Counter[str] = Counter()
    ids: list[str] = []
    graph = {
        "tasks": [
            step("list", config={"give": {"n": [1, 2, 3]}}),
            step(
                "each",
                for_each="${{ tasks.list.outputs.n }}",
                config={"give": {"i": "${{ item }}"}},
            ),
            step("hold", "each", config={"hold": True}),
            step("ask", "list", approve="Go on?"),
            step("end", "hold", "ask", config={"give": {"all": "${{ tasks.each.outputs.i }}"}}),
        ],
        "outputs": {"all": "${{ tasks.end.outputs.all }}"},
    }

    async def first(w: World) -> None:
        ids.append((await w.submit(graph)).id)
        await w.until(lambda: w.is_running("hold"))
        await w.until(lambda: questions(w.o))

    async def second(w: World) -> None:
        (asked,) = await questions(w.o)
        await answer(w.o, asked.id, Answer(answer="yes"), "eve")
        w.released.set()
        # The worker that held it was played by the first world: its attempt is told as its end.
        page = [t for t in await w.o.store.unfinished() if t.step == "hold"]
        for task in page:
            await w.finish(task)
        done = await w.end(ids[0])

        assert (done.state, done.outputs) == (State.SUCCESS, {"all": [1, 2, 3]})
        assert ran == {
            "list": 1,
            "each[0]": 1,
            "each[1]": 1,
            "each[2]": 1,
            "hold": 1,
            "ask": 1,
            "end": 1,
        }

    play(first, ran)
    play(second, ran)


def test_what_did_not_change_is_not_run_again(play: Callable[..., None], tmp_path: Path) -> None:
    """The second run takes over results; a change runs what it concerns, and is named."""
    (tmp_path / "data.csv").write_text("1")
    graph = {
        "name": "cached",
        "cache": True,
        "parameters": {"k": 1},
        "tasks": [
            step("read", config={"path": "data.csv", "give": {"n": 1}}),
            step("fit", "read", config={"give": {"k": "${{ parameters.k }}"}}),
            step("say", "fit", cache=False),
        ],
    }

    async def story(w: World) -> None:
        await w.run(graph)
        again = await w.run(graph)
        assert w.ran == {"read": 1, "fit": 1, "say": 2}
        assert (await w.children(again))["fit"].reused_from is not None

        await w.run(graph, parameters={"k": 2})
        assert w.ran == {"read": 1, "fit": 2, "say": 3}

        (tmp_path / "data.csv").write_text("2")
        changed = await w.run(graph, parameters={"k": 2})
        record = json.loads(
            (
                tmp_path / (await w.children(changed))["read"].run_directory / "cache.json"
            ).read_text()
        )
        assert w.ran == {"read": 2, "fit": 2, "say": 4}
        assert record["changes"] == ["input file data.csv changed"]

        last = await w.run(graph, force=True)
        assert w.ran == {"read": 3, "fit": 3, "say": 5}

        again = await rerun(w.o, last.id, RerunRequest(from_step="fit"), "eve")
        await w.end(again.id)
        assert w.ran == {"read": 3, "fit": 4, "say": 6}, "what is asked for by name is run"

    play(story)


def test_a_result_whose_file_was_changed_is_not_taken_over(
    play: Callable[..., None], tmp_path: Path
) -> None:
    """Neither the cache nor a repair hands on what the step never gave."""
    value = {"$file": str(tmp_path / "f"), "size_bytes": 3, "sha256": sha256(b"one").hexdigest()}
    graph = {
        "name": "kept",
        "cache": True,
        "tasks": [step("a", config={"give": {"f": value}}), step("b", "a", config={"fail": True})],
    }

    async def story(w: World) -> None:
        (tmp_path / "f").write_bytes(b"one")
        await w.run(graph)
        failed = await w.run(graph)
        assert w.ran == {"a": 1, "b": 2}

        (tmp_path / "f").write_bytes(b"two")
        await w.run(graph)
        assert w.ran == {"a": 2, "b": 3}
        await w.end((await rerun(w.o, failed.id, RerunRequest(), "eve")).id)
        assert w.ran == {"a": 3, "b": 4}

    play(story)


def test_the_run_directory_tells_the_story(play: Callable[..., None], tmp_path: Path) -> None:
    """Log and summary outlive the server and can be read without it."""

    async def story(w: World) -> None:
        graph = {"name": "told", "tasks": [step("a", config={"give": {"n": 1}}), step("b", "a")]}
        done = await w.run(graph)
        directory = tmp_path / done.run_directory
        log = (directory / "run.log").read_text()
        summary = json.loads((directory / "summary.json").read_text())

        assert "step a success" in log
        assert "workflow success" in log
        assert summary["state"] == "success"
        assert summary["steps"]["a"]["outputs"] == {"n": 1}
        assert (directory / "steps" / "b").resolve().is_dir()

    play(story)


def test_a_repair_runs_what_failed_and_what_follows(
    play: Callable[..., None], tmp_path: Path
) -> None:
    """Hours of good work must not be done again for one mistake at the end."""

    def write(*, fails: bool) -> None:
        graph = {
            "tasks": [
                step("a", config={"give": {"n": 1}}),
                step("each", "a", for_each=[1, 2], config={"give": {"i": "${{ item }}"}}),
                step("b", "each", config={"fail": fails, "give": {"m": 2}}),
                step("c", "b"),
            ]
        }
        (tmp_path / "f.yaml").write_text(json.dumps(graph))

    async def story(w: World) -> None:
        write(fails=True)
        first = await w.end((await w.submit_file("f.yaml")).id)
        assert first.state is State.FAILED
        write(fails=False)
        repaired = await rerun(w.o, first.id, RerunRequest(), "eve")
        second = await w.end(repaired.id)

        assert (second.state, second.retry_of) == (State.SUCCESS, first.id)
        assert w.ran == {"a": 1, "each[0]": 1, "each[1]": 1, "b": 2, "c": 1}
        said = {one.step: one.reasons for one in (await explain(w.o, second.id)).steps}
        assert said["a"] == ("kept from the run that this one repairs",)

        with pytest.raises(IllegalTransition, match="nothing of it failed"):
            await rerun(w.o, second.id, RerunRequest(), "eve")
        with pytest.raises(InvalidRequest, match="there is no such step"):
            await rerun(w.o, second.id, RerunRequest(from_step="ghost"), "eve")

        again = await rerun(w.o, second.id, RerunRequest(from_step="b"), "eve")
        third = await w.end(again.id)
        assert third.state is State.SUCCESS
        assert w.ran == {"a": 1, "each[0]": 1, "each[1]": 1, "b": 3, "c": 2}

        compared = await compare(w.o, first.id, third.id)
        states = {one.step: one.states for one in compared.steps}
        assert compared.states == ("failed", "success")
        assert states["c"] == ("skipped", "success")
        assert any("fail" in line for line in compared.source)

    play(story)


def test_a_rerun_with_other_parameters_says_what_came_of_it(play: Callable[..., None]) -> None:
    """The same graph over other values is the most usual second run."""

    async def story(w: World) -> None:
        graph = {
            "parameters": {"k": 1},
            "tasks": [step("a", config={"give": {"k": "${{ parameters.k }}"}})],
            "outputs": {"k": "${{ tasks.a.outputs.k }}"},
        }
        first = await w.run(graph)
        again = await rerun(w.o, first.id, RerunRequest(parameters_text={"k": "2"}), "eve")
        second = await w.end(again.id)
        compared = await compare(w.o, first.id, second.id)

        assert second.outputs == {"k": 2}
        assert compared.parameters == {"k": (1, 2)}
        assert compared.outputs == {"k": (1, 2)}

    play(story)


def test_a_run_is_shown_with_its_steps(play: Callable[..., None]) -> None:
    """In a terminal, on a page and in a cell the graph tells the same."""

    async def story(w: World) -> None:
        graph = {"name": "shown", "tasks": [step("a", config={"fail": True}), step("b", "a")]}
        shown = await view(w.o, (await w.run(graph)).id)
        text = workflow_text.workflow_text(shown)

        assert [one.state for one in shown.steps] == ["failed", "skipped"]
        assert "✗ failed" in text
        assert "← a" in text
        assert "s0 --> s1" in workflow_text.mermaid(shown)
        assert "<svg" in workflow_html.workflow_html(shown)

    play(story)
