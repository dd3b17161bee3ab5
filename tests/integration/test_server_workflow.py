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


_CELLS = """\
parameters: {n: 6}
tasks:
  - id: first
    cell: |
      # beside the file, as the notebooks of a workflow
      from pathlib import Path
      from opspawn_jupyter import step
      step.output("found", Path("words.txt").read_text())
      step.output("product", n * 7)
    with: {n: "${{ parameters.n }}"}
  - id: second
    cell: "print(said, product + 1)"
    with: {said: "${{ tasks.first.outputs.found }}", product: "${{ tasks.first.outputs.product }}"}
outputs: {product: "${{ tasks.first.outputs.product }}"}
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


def _run(server: Server, path: str = "flow.yaml") -> dict[str, object]:
    body = {"kind": "workflow", "spec": {"path": path}}
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


def test_code_in_the_file_runs_as_a_notebook(server: Server) -> None:
    """Values come as variables, whatever their type, and an executed notebook is left."""
    (server.root / "cells").mkdir()
    (server.root / "cells" / "words.txt").write_text('it\'s "said"')
    (server.root / "cells" / "flow.yaml").write_text(_CELLS)

    done = _run(server, "cells/flow.yaml")
    children = server.json("GET", f"tasks?parent={done['id']}")[1]["tasks"]
    (second,) = (child for child in children if child["step"] == "second")
    left = json.loads((server.root / second["run_directory"] / "output.ipynb").read_text())

    assert (done["state"], done["outputs"]) == ("success", {"product": 42}), done["error"]
    assert "".join(left["cells"][-1]["outputs"][0]["text"]) == 'it\'s "said" 43\n'


def test_the_shell_runs_a_workflow_and_keeps_its_log_elsewhere(server: Server) -> None:
    """What a nightly job needs: an exit code, and the log where it looks for it."""
    (server.root / "short.yaml").write_text("tasks: [{id: a, cell: 'print(1)'}]")
    (server.root / "bad.yaml").write_text("tasks: [{id: a, cell: '1 / 0'}]")

    good = server.shell("workflow", "run", "short.yaml", "--log-dir", "logs", "--json")
    bad = server.shell("bad.yaml")
    plugins = server.shell("workflow", "list-plugins")
    (directory,) = (server.root / "logs").iterdir()
    summary = json.loads((directory / "summary.json").read_text())

    assert good.returncode == 0, good.stderr
    assert summary["state"] == "success"
    assert json.loads(good.stdout)["run_directory"].endswith(directory.name)
    assert "step a success" in (directory / "run.log").read_text()
    assert bad.returncode != 0
    assert "division by zero" in bad.stderr
    assert {"shell", "csv_ingest", "mcp_tool"} <= set(plugins.stdout.split())
