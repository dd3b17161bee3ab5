"""What a step's own fields do to its task: trigger rules, retries, limits, and the cache's key."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from opspawn_jupyter.model.policy import Jitter, Policy
from opspawn_jupyter.model.states import State
from opspawn_jupyter.orchestrator.cancel import cancel
from opspawn_jupyter.orchestrator.workflow.explain import explain
from opspawn_jupyter.orchestrator.workflow.history import view
from tests.unit.model.test_trigger import AT_THE_END, ENDS
from tests.unit.server.workflow_world import World, step

_BEFORE = {"s": "good", "f": "bad", "k": "off"}


def test_every_trigger_rule_holds_in_a_run(play: Callable[..., None]) -> None:
    """The table of the rules, once more, with real steps that succeed, fail and are skipped."""
    expected = {
        f"{rule.value}-{ended}": "success" if letter == "R" else "skipped"
        for rule, letters in AT_THE_END.items()
        for ended, letter in zip(ENDS, letters, strict=True)
    }

    async def story(w: World) -> None:
        steps = [step("good"), step("bad", config={"fail": True}), step("off", when=False)]
        for name in expected:
            rule, ended = name.split("-")
            steps.append(step(name, *(_BEFORE[one] for one in ended), trigger_rule=rule))
        states = await w.states(await w.run({"tasks": steps}))

        assert (states.pop("good"), states.pop("bad"), states.pop("off")) == (
            "success",
            "failed",
            "skipped",
        )
        assert states == expected

    play(story)


def test_a_step_is_tried_again_as_it_asks(play: Callable[..., None]) -> None:
    """A hiccup of one step must not cost the workflow, and what follows waits for the retry."""

    async def story(w: World) -> None:
        again = {"max_retries": 2, "delay_seconds": 0, "jitter": "none"}
        graph = {
            "tasks": [
                step("flaky", config={"fail": True, "good_from": 3}, retry=again),
                step("after", "flaky"),
                step("hopeless", config={"fail": True}, retry={**again, "max_retries": 1}),
                step("other", config={"end": "crashed"}, retry={**again, "on": ["timed_out"]}),
                step("item", for_each=[1, 2], config={"fail": True, "good_from": 2}, retry=again),
            ]
        }
        done = await w.run(graph)
        children = await w.children(done)

        assert done.state is State.FAILED
        assert await w.states(done) == {
            "flaky": "success",
            "after": "success",
            "hopeless": "failed",
            "other": "crashed",
            "item[0]": "success",
            "item[1]": "success",
        }
        assert {name: child.attempt for name, child in children.items()} == {
            "flaky": 3,
            "after": 1,
            "hopeless": 2,
            "other": 1,
            "item[0]": 2,
            "item[1]": 2,
        }

    play(story)


def test_a_steps_policy_is_that_of_its_task(play: Callable[..., None]) -> None:
    """The queue and the worker look at the task; what the file says has to reach it."""

    async def story(w: World) -> None:
        graph = {
            "tasks": [
                step(
                    "a",
                    retry=2,
                    timeout_seconds=7,
                    cell_timeout_seconds=3.5,
                    priority=-4,
                    concurrency_key="db",
                ),
                step("b", retry={"backoff": 3, "max_delay_seconds": 9, "jitter": "full"}),
            ]
        }
        children = await w.children(await w.run(graph))

        assert children["a"].policy == Policy(
            timeout_seconds=7,
            cell_timeout_seconds=3.5,
            max_retries=2,
            priority=-4,
            concurrency_key="db",
        )
        assert children["b"].policy == Policy(
            max_retries=1,
            retry_backoff=3,
            retry_max_delay_seconds=9,
            retry_jitter=Jitter.FULL,
        )

    play(story)


def test_a_step_that_ran_into_its_limit_fails_the_workflow(play: Callable[..., None]) -> None:
    """With its own state, so that a person sees what to change."""

    async def story(w: World) -> None:
        graph = {
            "tasks": [
                step("slow", config={"end": "timed_out"}, timeout_seconds=1),
                step("b", "slow"),
            ]
        }
        done = await w.run(graph)

        assert done.state is State.FAILED
        assert done.error is not None
        assert done.error.message.startswith("step 'slow' timed_out")
        assert await w.states(done) == {"slow": "timed_out", "b": "skipped"}

    play(story)


def test_a_workflow_ends_at_its_own_limit(play: Callable[..., None]) -> None:
    """Nothing of it may go on; what had not begun says why."""

    async def story(w: World) -> None:
        hold = {"hold": True}
        graph = {
            "tasks": [
                step("a", config=hold),
                step("each", for_each=[1, 2, 3], max_parallel=1, config=hold),
                step("b", "a"),
            ]
        }
        done = await w.run(graph, policy=Policy(timeout_seconds=0.2))
        children = await w.children(done)

        assert done.state is State.TIMED_OUT
        assert done.error is not None
        assert done.error.message == "the workflow did not end within its limit of 0.2 seconds"
        assert (children["b"].state, children["b"].error and children["b"].error.message) == (
            State.SKIPPED,
            "the workflow ran into its time limit",
        )
        assert all(child.state.is_final for child in children.values())
        assert State.SUCCESS not in {child.state for child in children.values()}

    play(story)


def test_items_that_never_began_do_not_look_done(play: Callable[..., None]) -> None:
    """Who cancels a fan-out must not read in green that it succeeded, now or later."""

    async def story(w: World) -> None:
        hold = {"hold": True}
        graph = {
            "max_parallel": 2,
            "tasks": [
                step("first", config=hold),
                step("none", for_each=[]),
                step("each", for_each=[1, 2, 3]),
                step("second", config=hold),
            ],
        }
        task = await w.submit(graph)
        await w.until(lambda: w.is_running("second"))
        await cancel(w.o, task.id, "eve")
        done = await w.end(task.id)
        seen = {one.id: one for one in (await view(w.o, task.id)).steps}

        assert done.state is State.CANCELLED
        assert {name: one.state for name, one in seen.items()} == {
            "first": "cancelled",
            "none": "success",
            "each": "skipped",
            "second": "cancelled",
        }
        assert seen["each"].reason == ("the workflow was cancelled; so were 2 items after it")

    play(story)


def test_another_environment_is_another_result(
    play: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An upgraded package may change every figure, though no line of the notebook did."""
    packages = tmp_path / "python" / "lib" / "python3.12" / "site-packages"
    (packages / "numbers-1.0.dist-info").mkdir(parents=True)
    kernel = tmp_path / "share" / "kernels" / "own"
    kernel.mkdir(parents=True)
    program = tmp_path / "python" / "bin" / "python"
    spec = (
        f'{{"argv": ["{program}", "-m", "ipykernel"], "display_name": "O", "language": "python"}}'
    )
    (kernel / "kernel.json").write_text(spec)
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "share"))
    graph = {"cache": True, "tasks": [step("a", config={"kernel": "own", "give": {"n": 1}})]}

    async def story(w: World) -> None:
        await w.run(graph)
        await w.run(graph)
        assert w.ran == {"a": 1}

        (packages / "numbers-1.0.dist-info").rename(packages / "numbers-2.0.dist-info")
        changed = await w.run(graph)
        (said,) = (await explain(w.o, changed.id)).steps
        assert w.ran == {"a": 2}
        assert said.reasons == ("the environment changed: other packages or another kernel",)

    play(story)
