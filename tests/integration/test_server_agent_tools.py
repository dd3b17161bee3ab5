"""What agents reach through the server: notebooks, workflows and other agents as tools, notes that
outlive a run, and budgets that runs share."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import nbformat
import pytest

from tests.integration.conftest import Running, Server
from tests.integration.test_server_agent import cells, ended, submit

FLOW = """
description: Doubles a number.
parameters: {x: 1}
tasks:
  - id: double
    cell: "from opspawn_jupyter import step; step.output('twice', 2 * x)"
    with: {x: "${{ parameters.x }}"}
outputs: {twice: "${{ tasks.double.outputs.twice }}"}
"""
HELPER = """
description: Good at sums.
model: scripted:helper_script.yaml
limits: {max_tokens: 5000}
permissions: {run_python: allow}
"""
HELPER_SCRIPT = """
- {call: run_python, with: {code: "6 * 7"}, usage: {input_tokens: 100, output_tokens: 10}}
- {say: It is 42., usage: {input_tokens: 100, output_tokens: 10}}
"""
SCRIPT = """
- {call: report, with: {rows: 3}}
- {call: flow, with: {x: 21}}
- {call: helper, with: {goal: "What is six times seven?"}}
- {call: run_python, with: {code: "report['doubled'] + flow['twice'], helper['answer']"}}
- {call: report, with: {rows: "many"}}
- {say: Done.}
"""
NOTING = """
- {call: remember, with: {text: "Weights of penguins are in the column body_mass_g."}}
- {call: remember, with: {text: "The port of the database is 5433."}}
- {say: Noted.}
"""
ASKING = """
- {call: recall, with: {query: "which column has the weight of a penguin", limit: 1}}
- {say: Found.}
"""
COSTLY = """
- {call: update_plan, with: {steps: [one]}, usage: {cost: 0.6}}
- {call: update_plan, with: {steps: [one]}, usage: {cost: 0.6}}
- {say: Done., usage: {cost: 0.6}}
"""


@pytest.fixture(scope="module")
def server(running: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server where all agents together may cost a dollar a day."""
    root = tmp_path_factory.mktemp("root")
    files = {
        "flow.yaml": FLOW,
        "helper.yaml": HELPER,
        "helper_script.yaml": HELPER_SCRIPT,
        "script.yaml": SCRIPT,
        "noting.yaml": NOTING,
        "asking.yaml": ASKING,
        "costly.yaml": COSTLY,
    }
    for name, text in files.items():
        (root / name).write_text(text)
    nbformat.write(_report(), root / "report.ipynb")
    limits = "--OpspawnExtension.agent_limits={'day': {'max_cost': 1.0}}"
    with running(root, tmp_path_factory.mktemp("home"), limits) as one:
        yield one


def _report() -> Any:
    parameters = nbformat.v4.new_code_cell("rows: int = 1  # how many")
    parameters.metadata["tags"] = ["parameters"]
    code = "from opspawn_jupyter import step\nstep.output('doubled', 2 * rows)"
    told = nbformat.v4.new_markdown_cell("Doubles rows.")
    return nbformat.v4.new_notebook(cells=[told, parameters, nbformat.v4.new_code_cell(code)])


def test_notebooks_workflows_and_agents_are_tools(server: Server) -> None:
    """Each call is a task of its own below the agent's; what it gives is a variable in the kernel,
    what it uses is the agent's to pay, and wrong arguments are the model's to mend."""
    tools = ["report.ipynb", "flow.yaml", "helper.yaml"]
    task = ended(server, submit(server, model="scripted:script.yaml", tools=tools))
    assert task["state"] == "success", task["error"]

    shown = cells(server, task)
    assert shown["call-4-1"].outputs[0].data["text/plain"] == "(48, 'It is 42.')"
    assert shown["call-1-1"].source.endswith("report = {'doubled': 6}\nreport")
    children = server.json("GET", f"tasks?parent={task['id']}")[1]["tasks"]
    assert sorted(one["kind"] for one in children) == ["agent", "notebook", "workflow"]
    helper = next(one for one in children if one["kind"] == "agent")
    assert helper["submitted_by"] == task["submitted_by"]
    totals = nbformat.read(server.root / task["run_directory"] / "output.ipynb", as_version=4)
    used = totals.metadata.opspawn.agent.usage
    assert (used.requests, used.input_tokens) == (8, 200)
    described = next(one for one in task["spec"]["functions"] if one["name"] == "report")
    assert described["parameters"]["properties"]["rows"] == {
        "type": "integer", "description": "how many", "default": 1,
    }  # fmt: skip
    assert "Doubles rows." in described["description"]


def test_a_sub_agent_has_no_more_than_is_left(server: Server) -> None:
    """Budget and permissions go down with the goal, whatever the other agent's file says."""
    task = submit(
        server,
        model="scripted:script.yaml",
        tools=["report.ipynb", "flow.yaml", "helper.yaml"],
        limits={"max_tokens": 150},
        permissions={"run_python": "deny"},
    )
    task = ended(server, task)
    assert task["error"]["name"] == "budget_exceeded"
    children = server.json("GET", f"tasks?parent={task['id']}")[1]["tasks"]
    helper = next(one for one in children if one["kind"] == "agent")
    assert helper["spec"]["limits"]["max_tokens"] == 150
    assert helper["spec"]["permissions"] == {"run_python": "deny"}
    assert helper["error"] is None or helper["error"]["name"] == "budget_exceeded"


def test_notes_outlive_a_run_and_are_found_by_their_words(server: Server) -> None:
    """The collection is the task's: another one sees nothing of it. A person can read and forget
    notes."""
    ended(server, submit(server, model="scripted:noting.yaml", notes="penguins"))
    found = ended(server, submit(server, model="scripted:asking.yaml", notes="penguins"))
    other = ended(server, submit(server, model="scripted:asking.yaml", notes="others"))

    assert "body_mass_g" in cells(server, found)["call-1-1"].source
    assert "5433" not in cells(server, found)["call-1-1"].source
    assert "No note fits" in cells(server, other)["call-1-1"].source
    status, listed = server.json("POST", "recalled-notes", body={"scope": "penguins"})
    assert (status, len(listed["notes"])) == (200, 2)
    forgotten = next(one["id"] for one in listed["notes"] if "5433" in one["text"])
    assert server.json("DELETE", f"notes/{forgotten}")[0] == 200
    assert server.json("DELETE", f"notes/{forgotten}")[0] == 404
    body = {"scope": "penguins", "query": "database ports"}
    assert server.json("POST", "recalled-notes", body=body)[1] == {"notes": []}


def test_notes_are_found_by_their_meaning_where_they_have_vectors(server: Server) -> None:
    """An embedder is the run's affair; the server ranks whatever it is given."""
    for text, vector in (("A cat sat here.", [1, 0]), ("Dogs bark.", [0, 1]), ("No vector.", [])):
        body = {"scope": "pets", "text": text, "vector": vector}
        assert server.json("POST", "notes", body=body)[0] == 201
    asked = {"scope": "pets", "query": "feline", "vector": [0.9, 0.1]}
    found = server.json("POST", "recalled-notes", body=asked)[1]["notes"]
    assert [note["text"] for note in found] == ["A cat sat here."]


def test_the_loops_door_is_for_its_loop(server: Server) -> None:
    """Neither a person nor a kernel submits tasks in an agent's name."""
    task = ended(server, submit(server, model="scripted:noting.yaml", notes="x"))
    body = {"tool": "report", "arguments": {}, "key": "k"}
    status, said = server.json("POST", f"agents/{task['id']}/tasks", body=body)
    assert (status, said["code"]) == (403, "not_authorized")
    forged = f"osa_{task['id']}.1.{'A' * 43}"
    assert server.json("GET", f"agents/{task['id']}/allowance", token=forged)[0] == 401


def test_a_shared_budget_ends_whoever_comes_after(server: Server) -> None:
    """A day's cost is everybody's: the run that would go over it fails with that code."""
    failed = ended(server, submit(server, model="scripted:costly.yaml"))

    assert (failed["state"], failed["error"]["name"]) == ("failed", "budget_exceeded")
    assert "by all agents today, at most 1 are allowed" in failed["error"]["message"]
    later = ended(server, submit(server, model="scripted:asking.yaml", notes="x"))
    assert later["error"]["name"] == "budget_exceeded"
    assert json.dumps(later).count("osa_") == 0
