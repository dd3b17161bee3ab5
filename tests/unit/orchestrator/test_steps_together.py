"""Steps whose turn has come at once: made together, each as if it were alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from opspawn_jupyter.errors import InvalidRequest
from opspawn_jupyter.model import task_file
from opspawn_jupyter.model.run_directory import RunDirectory
from opspawn_jupyter.model.states import State
from opspawn_jupyter.model.task import Submission, Task
from opspawn_jupyter.model.workflow import INPUTS_NAME, Step, Workflow
from opspawn_jupyter.orchestrator.context import Orchestration
from opspawn_jupyter.orchestrator.submit import submit
from opspawn_jupyter.orchestrator.workflow import children
from opspawn_jupyter.orchestrator.workflow.place import Place
from opspawn_jupyter.orchestrator.workflow.progress import Progress
from opspawn_jupyter.ports import Prepared


class _CountingKind:
    """Takes any text but a bad one."""

    def __init__(self) -> None:
        self.checked: list[str] = []

    def prepare(self, spec: Mapping[str, Any]) -> Prepared:
        self.checked.append(spec["text"])
        if spec["text"] == "bad":
            raise InvalidRequest(hint="this text is bad")
        spec = {**spec, "source_sha256": "the notebook's"}
        return Prepared(name="counted", spec=spec, files={"input.ipynb": b"{}"})


async def _begun(o: Orchestration, *texts: str, **config: str) -> tuple[_CountingKind, list[Task]]:
    """What steps with these texts come to."""
    kind = _CountingKind()
    o = replace(o, kinds={**o.kinds, "counted": kind})
    task, _ = await submit(o, Submission(kind="note", spec={"text": "a workflow"}), "nina")
    steps = tuple(
        Step(id=f"s{number}", kind="counted", config={**config, "text": text})
        for number, text in enumerate(texts)
    )
    progress = Progress(task, Workflow(name="many", steps=steps))
    places = [Place(progress=progress, step=step) for step in steps]
    return kind, await children.begin_all(o, places)


def test_steps_that_are_alike_are_checked_once(play: Callable[..., None], tmp_path: Path) -> None:
    """A thousand equal steps ask their kind the same; each has its own directory all the same."""

    async def scenario(o: Orchestration) -> None:
        kind, made = await _begun(o, "one", "two", "one", "one")
        assert sorted(kind.checked) == ["one", "two"]
        assert [task.spec["text"] for task in made] == ["one", "two", "one", "one"]
        directories = {tmp_path / task.run_directory for task in made}
        assert len(directories) == len(made)
        assert all((directory / INPUTS_NAME).is_file() for directory in directories)

    play(scenario)


def test_a_step_that_makes_no_sense_fails_alone(play: Callable[..., None]) -> None:
    """The others were asked for at the same moment, and are good."""

    async def scenario(o: Orchestration) -> None:
        _, made = await _begun(o, "one", "bad", "two")
        by_step = {task.step: task for task in made}
        assert [by_step[name].state for name in ("s0", "s1", "s2")] == [
            State.QUEUED,
            State.FAILED,
            State.QUEUED,
        ]
        assert by_step["s1"].error is not None
        assert "this text is bad" in by_step["s1"].error.message

    play(scenario)


def test_small_steps_share_the_files_that_are_the_same(
    play: Callable[..., None], tmp_path: Path
) -> None:
    """To make a file takes longer than such a step; what tells them apart is each one's own."""

    async def scenario(o: Orchestration) -> None:
        _, made = await _begun(o, "one", "two", tier="pool")
        first, second = (tmp_path / task.run_directory for task in made)
        for name in ("input.ipynb", INPUTS_NAME, "task.json"):
            assert (first / name).samefile(second / name)
        said = [task_file.read(RunDirectory(one)) for one in (first, second)]
        assert [(one["step"], one["spec"]["text"]) for one in said] == [
            ("s0", "one"),
            ("s1", "two"),
        ]
        assert [one["id"] for one in said] == [task.id for task in made]
        assert {one["parent_id"] for one in said} == {made[0].parent_id}

    play(scenario)
