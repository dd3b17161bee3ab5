"""The example notebooks run as they are, against a real server."""

from __future__ import annotations

import subprocess
import sys

import pytest

from jupyter_process import JupyterProcess


@pytest.mark.parametrize("notebook", ["agent.ipynb", "penguins.ipynb", "quickstart.ipynb"])
def test_the_example_runs_by_hand(examples_server: JupyterProcess, notebook: str) -> None:
    """An example that fails is the first thing that a new user sees; outputs that are kept in
    the notebook and tagged are compared too."""
    command = [sys.executable, "-m", "pytest", "--nbval-lax", "-p", "no:cacheprovider"]
    command += ["-c", "/dev/null", f"--rootdir={examples_server.root}", notebook]

    answer = subprocess.run(
        command,
        cwd=examples_server.root,
        env=examples_server.environment,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )

    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_the_analysis_gives_its_figures_from_the_background(
    examples_server: JupyterProcess,
) -> None:
    """The README's promise: parameters in, figures and an executed notebook out."""
    submission = {
        "spec": {"notebook": "penguins.ipynb", "parameters": {"island": "Dream", "year": 2009}}
    }

    task_id = examples_server.api("POST", "tasks", submission)["id"]
    task = examples_server.await_task(task_id)

    assert task["state"] == "success", task["error"]
    assert set(task["outputs"]) == {"penguins", "left_out", "male_minus_female"}
    assert task["outputs"]["penguins"] + task["outputs"]["left_out"] == 44
    run_directory = examples_server.root / task["run_directory"]
    assert (run_directory / "output.ipynb").is_file()
    assert (run_directory / "artifacts" / "body_mass.png").stat().st_size > 10_000
