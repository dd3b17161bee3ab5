"""Every mistake in a workflow is found before anything runs, all at once, with its place."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from opspawn_jupyter.errors import InvalidRequest, OutsideRoot, WorkflowInvalid
from opspawn_jupyter.kinds.notebook import NotebookKind
from opspawn_jupyter.kinds.workflow import WorkflowKind
from opspawn_jupyter.kinds.workflow_file import json_schema
from opspawn_jupyter.model.workflow import WorkflowRequest
from opspawn_jupyter.ports import Kind
from opspawn_jupyter.settings import Settings


def notebook(*sources: str, parameters: str = "") -> str:
    cells = [
        {"cell_type": "code", "metadata": {}, "source": source, "outputs": []}
        for source in (parameters, *sources)
    ]
    cells[0]["metadata"] = {"tags": ["parameters"]}
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells})


@pytest.fixture
def kind(tmp_path: Path) -> WorkflowKind:
    settings = Settings(
        root_directory=tmp_path, state_directory=tmp_path / ".o", runs_directory=tmp_path / "runs"
    )
    (tmp_path / "load.ipynb").write_text(
        notebook("step.output('rows', 1)", parameters="year: int = 2026")
    )
    specs: Mapping[str, Any] = {"python3": {"spec": {"language": "python"}}}
    one = WorkflowKind(settings)
    kinds: dict[str, Kind] = {"notebook": NotebookKind(settings, lambda: specs), "workflow": one}
    one.meet(kinds)
    return one


def bomb() -> str:
    """A few hundred bytes that become a hundred million values."""
    lines = ["a: &a [1,1,1,1,1,1,1,1,1,1]"]
    for before, name in zip("abcdefg", "bcdefgh", strict=True):
        lines.append(f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]")
    return "\n".join(lines)


def faults(kind: WorkflowKind, source: str, **more: Any) -> list[str]:
    return [str(fault) for fault in kind.check(WorkflowRequest(source=source, **more)).faults]


def test_all_mistakes_are_named_at_once_with_their_places(kind: WorkflowKind) -> None:
    """Who has five mistakes wants to mend five, not to try five times."""
    source = """\
tasks:
  - {id: a, notebook: missing.ipynb}
  - {id: a, plugin: dance}
  - id: b
    notebook: load.ipynb
    with: {month: 2, year: "${{ parameters.nope }}"}
    depends_on: [ghost, c]
  - {id: c, notebook: ../../etc/passwd, depends_on: [b]}
  - {id: d, notebook: load.ipynb, with: {year: "${{ tasks.e.outputs.columns }}"}}
  - {id: e, notebook: load.ipynb, with: {year: soon}}
"""
    said = "\n".join(faults(kind, source))

    assert "2:13: step 'a': there is no notebook at this path" in said
    assert "3:6: step 'a' is there twice; see line 2" in said
    assert "3:13: step 'a': there is no plugin 'dance'; known are notebook, workflow" in said
    assert "there is no parameter 'nope'; the workflow declares none" in said
    assert "6:12: step 'b': there is no parameter of this name: 'month'" in said
    assert "7:18: step 'b' depends on 'ghost', which is no step" in said
    assert "steps depend on each other in a circle: b → c → b" in said
    assert "8:13: step 'c': the path lies outside" in said
    assert "step 'e' gives no output 'columns'; it gives rows" in said
    assert "10:42: step 'e': the parameter's value does not fit its declared type" in said


def test_mistakes_in_the_shape_do_not_hide_those_in_the_graph(kind: WorkflowKind) -> None:
    """A typo in one field is no reason to say nothing about the rest of the file."""
    source = """\
parameters: {n: {type: int, default: soon}}
max_parallel: many
tasks:
  - {id: a, notebook: missing.ipynb, retry: {max: 3}, timeout_seconds: -1}
  - {id: 7, notebook: load.ipynb}
  - {id: b b, notebook: load.ipynb, with: {year: soon, day: 1}, frob: 1}
  - {id: c, plugn: shell, depends_on: [b b, ghost]}
  - {id: d, notebook: load.ipynb, with: [1], depends_on: [e]}
  - {id: e, notebook: load.ipynb, depends_on: [d], when: "${{ open(1) }}"}
"""
    said = faults(kind, source)

    assert [one.partition(": ")[0] for one in said] == [
        "1:29", "2:1", "4:13", "4:46", "4:55", "5:6", "6:6", "6:44", "6:56", "6:65", "7:13",
        "7:45", "8:5", "8:35", "9:52",
    ]  # fmt: skip
    assert "did you mean 'plugin'? known are id, plugin" in said[10]


def test_of_many_mistakes_the_first_are_told_and_how_many_more_there_are(
    kind: WorkflowKind,
) -> None:
    """A program that writes a wrong field writes it everywhere."""
    steps = [{"id": f"s{n}", "notebook": f"gone{n}.ipynb"} for n in range(150)]

    found = kind.check(WorkflowRequest(graph={"tasks": steps})).faults

    assert len(found) == 101
    assert "and 50 more" in found[-1].message


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("", "1:1: the file is empty"),
        ("tasks: []", "at least 1"),
        ("- a", "a workflow is a mapping"),
        ("tasks:\n\t- id: a", "2:1: the file is not YAML"),
        ("name: a\nname: b\ntasks: [{id: a, notebook: load.ipynb}]", "2:1: 'name' is given twice"),
        ("tasks: [{id: a, notebook: load.ipynb, frob: 1}]", "1:39: there is no field 'frob'"),
        ("tasks: [{id: 7, notebook: load.ipynb}]", "1:10: 'id': input should be a valid string"),
        ("tasks: [{id: a b, notebook: load.ipynb}]", "1:10: 'a b': an id begins with a letter"),
        ("tasks: [{id: a}]", "names no plugin, kind, notebook, cell or workflow"),
        ("tasks: [{id: a, cell: ''}]", "1:17: step 'a': the cell is empty"),
        ("tasks: [{id: a, cell: 'x = = 1'}]", "1:17: step 'a': "),
        ("tasks: [{id: a, cell: x, notebook: load.ipynb}]", "give the path of a notebook, its"),
        ("tasks: [{id: a, cell: 'x = ${{ parameters.k }}'}]", "1:17: code takes no templates"),
        ("tasks: [{id: a, cell: x, with: {'a b': 1}}]", "a value of a cell is named as in Python"),
        ("tasks: [{id: a, cell: x, with: {class: 1}}]", "a value of a cell is named as in Python"),
        ("tasks: [{id: a, cell: 7}]", "'cell': input should be a valid string"),
        ("tasks: [{id: a, notebook: load.ipynb, when: '${{ x }}'}]", "'x' is not known"),
        ("tasks: [{id: a, notebook: load.ipynb, when: '${{ open(1) }}'}]", "may call"),
        ("tasks: [{id: a, notebook: load.ipynb, when: '${{ 1'}]", "without its }}"),
        ("tasks: [{id: a, notebook: load.ipynb, retry: {on: [rain]}}]", "on names some of"),
        ("tasks: [{id: a, notebook: load.ipynb, retry: 101}]", "'retry': input should be less"),
        ("tasks: [{id: a, notebook: load.ipynb, retry: -1}]", "'retry': input should be greater"),
        ("tasks: [{id: a, notebook: load.ipynb, retry: {delay_seconds: .inf}}]", "1:47: "),
        ("tasks: [{id: a, notebook: load.ipynb, priority: 99999999999999999999}]", "1:39: "),
        ("tasks: [{id: a, notebook: load.ipynb, timeout_seconds: 0}]", "greater than 0"),
        ("tasks: [{id: a, notebook: load.ipynb, concurrency_key: ''}]", "at least 1 character"),
        ("tasks: [{id: a, notebook: load.ipynb, trigger_rule: maybe}]", "there is no rule"),
        ("tasks: [{id: a, notebook: load.ipynb, with: {year: '${{ item }}'}}]", "for_each"),
        ("tasks: [{id: a, notebook: load.ipynb, for_each: 3}]", "for_each is a list"),
        ("tasks: [{id: a, depends_on: [a], notebook: load.ipynb}]", "a → a"),
        ("a: &a [1]\nb: *c", "there is no anchor 'c'"),
        ("x: " + "[" * 5000, "nest"),
        (bomb(), "values once its aliases are followed"),
    ],
)
def test_bad_files_are_refused_with_one_clear_sentence(
    kind: WorkflowKind, source: str, said: str
) -> None:
    """Whatever somebody hands in is answered at once, and never with a crash."""
    found = faults(kind, source)

    assert any(said in one for one in found), found


def test_code_may_stand_in_the_file(kind: WorkflowKind) -> None:
    """A line or two between notebooks need no notebook; their outputs are known, too."""
    source = """\
tasks:
  - id: a
    cell: |
      # what IPython adds is fine
      %matplotlib inline
      step.output("n", start + 1)
    with: {start: "${{ parameters.k }}"}
  - {id: b, notebook: load.ipynb, with: {year: "${{ tasks.a.outputs.n }}"}}
parameters: {k: 1}
"""
    assert faults(kind, source) == []
    wrong = source.replace("outputs.n }}", "outputs.m }}")
    assert "step 'a' gives no output 'm'; it gives n" in faults(kind, wrong)[0]
    assert faults(kind, wrong.replace("inline", "inline\n      here = !ls")) == []


def test_bytes_that_are_no_text_are_refused(kind: WorkflowKind, tmp_path: Path) -> None:
    """A file in another encoding would run with other names than its author sees."""
    (tmp_path / "f.yaml").write_bytes(b"name: caf\xe9\n")

    with pytest.raises(WorkflowInvalid, match=r"f\.yaml:1:10: the file is not UTF-8"):
        kind.prepare({"path": "f.yaml"})


def test_what_has_no_end_is_not_read(kind: WorkflowKind, tmp_path: Path) -> None:
    """A link to a device would fill the server's memory, and a pipe would keep it waiting."""
    (tmp_path / "zero.yaml").symlink_to("/dev/zero")
    os.mkfifo(tmp_path / "pipe.ipynb")

    with pytest.raises(InvalidRequest, match="not a regular file"):
        kind.prepare({"path": "zero.yaml"})
    assert "not a regular file" in faults(kind, "tasks: [{id: a, notebook: pipe.ipynb}]")[0]


def test_thousands_of_wrong_fields_are_counted_and_not_compared(kind: WorkflowKind) -> None:
    """Each with each other, they would take minutes."""
    fields = ", ".join(f"k{n}: {n}" for n in range(20_000))

    found = faults(kind, f"tasks: [{{id: a, notebook: load.ipynb, {fields}}}]")

    assert found[-1] == "and 19900 more, told once these are mended"


def test_a_workflow_that_is_a_step_of_itself_is_refused(kind: WorkflowKind, tmp_path: Path) -> None:
    """It would never end."""
    (tmp_path / "f.yaml").write_text("tasks: [{id: a, workflow: f.yaml}]")

    with pytest.raises(WorkflowInvalid, match="a step of itself"):
        kind.prepare({"path": "f.yaml"})


def test_a_path_outside_the_root_is_refused(kind: WorkflowKind) -> None:
    """Whoever may submit a workflow may not read the machine."""
    with pytest.raises(OutsideRoot):
        kind.prepare({"path": "../f.yaml"})


def test_parameters_are_checked_like_those_of_a_notebook(kind: WorkflowKind) -> None:
    """A misspelt parameter would run with the default, and nobody would notice."""
    source = "parameters: {k: 1}\ntasks: [{id: a, notebook: load.ipynb}]"

    assert "no parameter of this name: 'j'" in faults(kind, source, parameters={"j": 2})[0]
    assert "k=x" in faults(kind, source, parameters_text={"k": "x"})[0]
    prepared = kind.prepare({"source": source, "parameters_text": {"k": "5"}})
    assert prepared.spec["parameters"] == {"k": 5}


def test_exactly_one_source_is_taken(kind: WorkflowKind) -> None:
    """Of two graphs nobody could tell which one ran."""
    with pytest.raises(InvalidRequest, match="one of path, source and graph"):
        kind.prepare({"source": "tasks: []", "path": "f.yaml"})


def test_a_chain_of_5000_steps_is_checked(kind: WorkflowKind) -> None:
    """Graphs that a program writes are large, and one circle in them must be found."""
    steps = [
        {"id": f"s{n}", "notebook": "load.ipynb", "depends_on": [f"s{n - 1}"] if n else []}
        for n in range(5000)
    ]
    found = kind.check(WorkflowRequest(graph={"tasks": steps}))
    assert (found.faults, len(found.workflow.steps if found.workflow else ())) == ((), 5000)

    steps[0]["depends_on"] = ["s4999"]
    (fault,) = kind.check(WorkflowRequest(graph={"tasks": steps})).faults
    assert "circle: s0 → s4999 → " in fault.message


def test_the_schema_tells_editors_every_field() -> None:
    """Completion in an editor is the cheapest documentation."""
    schema = json_schema()
    step = schema["$defs"]["StepFile"]

    assert {"tasks", "parameters", "max_parallel"} <= schema["properties"].keys()
    assert {"with", "depends_on", "for_each", "approve"} <= step["properties"].keys()
    assert step["properties"]["depends_on"]["description"]
