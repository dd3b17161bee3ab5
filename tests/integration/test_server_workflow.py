"""A workflow over the real server, worker and kernels, asked for over HTTP."""

from __future__ import annotations

import json

from tests.integration.conftest import Server

_FLOW = """\
name: real
cache: true
parameters: {n: 20}
tasks:
  - id: count
    notebook: count.ipynb
    with: {n: "${{ parameters.n }}"}
  - id: say
    plugin: shell
    config: {command: "echo ${{ tasks.count.outputs.rows }} rows"}
outputs: {said: "${{ tasks.say.outputs.stdout }}"}
"""


def _notebook() -> str:
    sources = ("n: int = 1", "from opspawn_jupyter import step\nstep.output('rows', n + 1)")
    cells = [
        {"cell_type": "code", "id": f"c{i}", "metadata": {}, "source": source, "outputs": [],
         "execution_count": None}
        for i, source in enumerate(sources)
    ]  # fmt: skip
    cells[0]["metadata"] = {"tags": ["parameters"]}
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells})


def _run(server: Server) -> dict[str, object]:
    body = {"kind": "workflow", "spec": {"path": "flow.yaml"}}
    status, task = server.json("POST", "tasks", body=body)
    assert status == 201, task
    ended: dict[str, object] = server.wait(
        "the end of the workflow",
        lambda: server.json("GET", f"tasks/{task['id']}")[1],
        lambda now: now["state"] in ("success", "failed", "crashed"),
    )
    return ended


def test_notebooks_and_plugins_run_as_one_workflow(server: Server) -> None:
    """The whole way through real kernels; the second time nothing has to run."""
    (server.root / "count.ipynb").write_text(_notebook())
    (server.root / "flow.yaml").write_text(_FLOW)

    first, second = _run(server), _run(server)
    _, shown = server.json("GET", f"workflows/{second['id']}")
    _, explained = server.json("GET", f"workflows/{second['id']}/explain")

    assert (first["state"], second["state"]) == ("success", "success"), first["error"]
    assert "21 rows" in str(first["outputs"])
    assert first["outputs"] == second["outputs"]
    assert [step["state"] for step in shown["steps"]] == ["success", "success"]
    assert [step["verdict"] for step in explained["steps"]] == ["hit", "hit"]


def test_a_workflow_with_mistakes_is_refused_and_leaves_nothing(server: Server) -> None:
    """The right status, every mistake in the detail, and no task."""
    source = "tasks:\n  - {id: a, plugin: dance}\n  - {id: b, notebook: gone.ipynb}\n"
    before = server.json("GET", "tasks?kind=workflow")[1]["tasks"]

    body = {"kind": "workflow", "spec": {"source": source}}
    status, refusal = server.json("POST", "tasks", body=body)
    checked = server.json("POST", "workflow-check", body={"source": source})

    assert (status, refusal["code"]) == (422, "workflow_invalid")
    assert [fault["line"] for fault in refusal["detail"]["faults"]] == [2, 3]
    assert (checked[0], checked[1]["faults"]) == (200, refusal["detail"]["faults"])
    assert server.json("GET", "tasks?kind=workflow")[1]["tasks"] == before
    assert server.json("GET", "workflows/01234567")[0] == 404
    assert server.json("GET", "workflow-schema.json")[1]["properties"]["tasks"]
