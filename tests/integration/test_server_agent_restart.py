"""What agents wait for outlives a server, and one worker is enough for all of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pytest

from tests.integration.conftest import Running
from tests.integration.test_server_agent import again, cells, ended, submit

PLANNED = """
- {call: update_plan, with: {steps: [ask, answer], done: 0}}
- {call: slow, with: {}}
- {call: update_plan, with: {steps: [ask, answer], done: 2}}
- {say: "It is done."}
"""
COSTLY = """
- {call: run_python, with: {code: "n = 6"}, usage: {cost: 0.6}}
- {call: run_python, with: {code: "n * 7"}, usage: {cost: 0.6}}
- {say: "It is 42."}
"""
ONE_PLACE = "--OpspawnExtension.max_running_tasks=1"


def test_a_plan_is_approved_by_another_server_and_its_task_gets_the_only_worker(
    running: Running, tmp_path: Path
) -> None:
    """An answer may come after a restart; and an agent that waits for its task would wait for ever
    if it kept the place that the task needs."""
    root, home = tmp_path / "root", tmp_path / "home"
    root.mkdir()
    home.mkdir()
    (root / "planned.yaml").write_text(PLANNED)
    code = "from opspawn_jupyter import step\nstep.output('value', 7)"
    cells_of_slow = [nbformat.v4.new_code_cell(code)]
    nbformat.write(nbformat.v4.new_notebook(cells=cells_of_slow), root / "slow.ipynb")

    with running(root, home, ONE_PLACE) as server:
        given: dict[str, Any] = {"tools": ["slow.ipynb"], "plan_first": True}
        task = submit(server, model="scripted:planned.yaml", **given)
        waiting = ended(server, task, "waiting")
        assert "plan" not in cells(server, task)

    with running(root, home, ONE_PLACE) as server:
        (asked,) = server.json("GET", "questions")[1]["questions"]
        assert asked["id"] == waiting["question"]
        assert asked["detail"]["arguments"]["steps"] == ["ask", "answer"]
        path = f"questions/{asked['id']}/answer"
        assert server.json("POST", path, body={"answer": "yes"})[0] == 200
        done = ended(server, task)

    assert (done["state"], done["outputs"]) == ("success", {"answer": "It is done."}), done["error"]
    shown = cells(server, done)
    assert "allowed by" in shown["approval-call-1-1"].source
    assert shown["plan"].source == "### Plan\n\n- [x] ask\n- [x] answer"
    assert shown["call-2-1"].outputs[0].data["text/plain"] == "{'value': 7}"
    assert done["attempt"] == 3


@pytest.mark.parametrize("whose", ["user_day", "user"])
def test_a_budget_that_ended_a_run_is_raised_and_the_run_goes_on(
    running: Running, tmp_path: Path, whose: str
) -> None:
    """What is shared is set for the server; what was paid for is in the tape, and paid once."""
    root, home = tmp_path / "root", tmp_path / "home"
    root.mkdir()
    home.mkdir()
    (root / "costly.yaml").write_text(COSTLY)

    with running(root, home, _budget(whose, 1.0)) as server:
        failed = ended(server, submit(server, model="scripted:costly.yaml"))
        assert failed["error"]["name"] == "budget_exceeded", failed["error"]
        assert f"by agents of {failed['submitted_by']}" in failed["error"]["message"]

    with running(root, home, _budget(whose, 5.0)) as server:
        done = again(server, failed)

    assert (done["state"], done["outputs"]) == ("success", {"answer": "It is 42."}), done["error"]
    assert cells(server, done)["call-2-1"].outputs[0].data["text/plain"] == "42"


def _budget(whose: str, cost: float) -> str:
    return f"--OpspawnExtension.agent_limits={ {whose: {'max_cost': cost}} }"
