"""``step.input`` and the plugins' context: values of the steps before, loaded when asked for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from opspawn_jupyter import step
from opspawn_jupyter.client.inputs import StepInputs
from opspawn_jupyter.client.stored import stored
from opspawn_jupyter.model import wire
from opspawn_jupyter.model.run_directory import RunDirectory
from opspawn_jupyter.model.states import State
from opspawn_jupyter.model.workflow import Inputs, Upstream
from opspawn_jupyter.plugins.context import Context


def run_of(root: Path, name: str) -> RunDirectory:
    """A task's directory, as the server makes it."""
    path = root / "opspawn_runs" / name
    path.mkdir(parents=True)
    (path / "task.json").write_text(json.dumps({"run_directory": f"opspawn_runs/{name}"}))
    return RunDirectory(path)


def upstream(run: RunDirectory, state: State = State.SUCCESS, **outputs: Any) -> Upstream:
    kept = {name: stored(name, value, run) for name, value in outputs.items()}
    place = f"opspawn_runs/{run.path.name}"
    return Upstream(task_id=run.path.name, state=state, run_directory=place, outputs=kept)


@pytest.fixture
def inputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StepInputs:
    """What a step gets that follows two ingests, a greeting, a fan-out and a skipped step."""
    north, south = run_of(tmp_path, "north"), run_of(tmp_path, "south")
    items = tuple(upstream(run_of(tmp_path, f"item{n}"), square=n * n) for n in range(3))
    tasks = {
        "north": upstream(north, rows=2, dataframe=pd.DataFrame({"n": [1, 2]})),
        "south": upstream(south, rows=1, dataframe=pd.DataFrame({"n": [9]})),
        "greet": upstream(run_of(tmp_path, "greet"), result="hello"),
        "fan": Upstream(
            task_id=None,
            state=State.SUCCESS,
            run_directory=None,
            outputs={"square": [0, 1, 4]},
            items=items,
        ),
        "left.out": Upstream(task_id="x", state=State.SKIPPED, run_directory=None),
    }
    own = run_of(tmp_path, "own")
    record = Inputs(workflow_id="w", workflow="w", step="own", tasks=tasks)
    (own.path / "inputs.json").write_text(wire.to_json(record))
    monkeypatch.setenv("OPSPAWN_RUN_DIRECTORY", str(own.path))
    return StepInputs(own)


def test_two_ingests_keep_two_tables(inputs: StepInputs) -> None:
    """The ancestor kept one table for all, and steps worked with each other's."""
    assert inputs.value("north.dataframe")["n"].tolist() == [1, 2]
    assert inputs.value("south.dataframe")["n"].tolist() == [9]


def test_a_notebook_reads_by_step_and_name(inputs: StepInputs) -> None:
    assert step.input("north.rows") == 2
    assert step.input("greet") == "hello"
    assert dict(step.input("south")).keys() == {"rows", "dataframe"}
    assert step.input("fan.square") == [0, 1, 4]


def test_a_value_is_loaded_only_when_it_is_asked_for(inputs: StepInputs, tmp_path: Path) -> None:
    """A step that needs one number must not read gigabytes of table."""
    (tmp_path / "opspawn_runs/north/artifacts/outputs/dataframe.parquet").unlink()

    assert inputs["north"]["rows"] == 2
    assert inputs["north"].tables == ("dataframe",)
    with pytest.raises(FileNotFoundError):
        inputs["north"]["dataframe"]


def test_a_file_that_was_changed_is_not_taken_for_the_value(
    inputs: StepInputs, tmp_path: Path
) -> None:
    """One digit that somebody mends by hand, and the report would not be of the run any more."""
    path = tmp_path / "opspawn_runs/north/artifacts/outputs/dataframe.parquet"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)

    with pytest.raises(ValueError, match="was changed after the step"):
        inputs["north"]["dataframe"]


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("west.rows", "no step 'west' comes before this one; known: north, south"),
        ("north.lines", r"step 'north' \(success\) has no output 'lines'; it gave rows, dataframe"),
    ],
)
def test_a_value_that_is_not_there_is_named_with_those_that_are(
    inputs: StepInputs, reference: str, words: str
) -> None:
    with pytest.raises(KeyError, match=words):
        step.input(reference)


def test_a_default_is_for_steps_that_were_skipped_and_not_for_misspelt_names(
    inputs: StepInputs,
) -> None:
    assert step.input("left.out", 7) == 7
    with pytest.raises(KeyError, match="nroth"):
        step.input("nroth.rows", 7)


def test_by_hand_a_notebook_works_with_its_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPSPAWN_RUN_DIRECTORY", raising=False)

    assert step.input("north.rows", 5) == 5
    with pytest.raises(KeyError, match="known: none"):
        step.input("north.rows")


def test_a_plugin_sees_the_steps_by_id(inputs: StepInputs) -> None:
    context = Context(inputs)

    assert context["greet"] == "hello"
    assert context["north"]["rows"] == 2
    assert list(context) == ["north", "south", "greet", "fan", "left.out"]
    assert context.get("nothing") is None
    assert "dataframe" not in context


def test_a_name_without_a_step_is_found_where_only_one_step_gave_it(inputs: StepInputs) -> None:
    """Plugins of the ancestor look up ``context["dataframe"]``; a guess would mix up tables."""
    context = Context(inputs)

    assert context["square"] == [0, 1, 4]
    with pytest.raises(KeyError, match="several steps"):
        context["dataframe"]


def test_what_a_plugin_sets_is_its_own(inputs: StepInputs) -> None:
    context = Context(inputs)

    context["dataframe"] = "mine"

    assert (context["dataframe"], context.given) == ("mine", {"dataframe": "mine"})
