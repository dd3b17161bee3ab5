"""The example notebooks run as they are, against a real server."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from jupyter_process import PATIENCE_SECONDS, JupyterProcess


@pytest.mark.parametrize("notebook", ["agent.ipynb", "penguins.ipynb", "quickstart.ipynb"])
def test_the_example_runs_by_hand(examples_server: JupyterProcess, notebook: str) -> None:
    """An example that fails is the first thing that a new user sees; outputs that are kept in
    the notebook and tagged are compared too."""
    command = [sys.executable, "-m", "pytest", "--nbval-lax", "-p", "no:cacheprovider"]
    command += [f"--nbval-kernel-startup-timeout={PATIENCE_SECONDS}"]
    command += ["-c", "/dev/null", f"--rootdir={examples_server.root}", notebook]

    answer = subprocess.run(
        command,
        cwd=examples_server.root,
        env=examples_server.environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
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


def test_the_report_is_made_once_and_then_only_what_changed(
    examples_server: JupyterProcess,
) -> None:
    """The example workflow: a file, its cleaning, two comparisons at once, a report. A second run
    costs next to nothing, and a mended step does not make the others run again."""
    first, steps = _workflow(examples_server, "penguins_report.yaml")
    assert first["state"] == "success", first["error"]
    assert first["outputs"] == {"headline": "Gentoo on Biscoe are the heaviest", "left_out": 2}
    picture = examples_server.root / steps["report"]["run_directory"] / "artifacts/body_mass.png"
    assert picture.stat().st_size > 10_000

    again, steps = _workflow(examples_server, "penguins_report.yaml")
    assert again["outputs"] == first["outputs"]
    assert all(step["reused_from"] for step in steps.values())

    report = examples_server.root / "penguin_report.ipynb"
    sound = report.read_text()
    report.write_text(sound.replace("figure.tight_layout()", "figure.no_such_layout()"))
    broken, steps = _workflow(examples_server, "penguins_report.yaml")
    assert (broken["state"], steps["report"]["state"]) == ("failed", "failed")
    assert steps["report"]["error"]["name"] == "AttributeError"

    report.write_text(sound.replace("figure.tight_layout()", "figure.tight_layout(pad=2)"))
    command = [sys.executable, "-m", "opspawn_jupyter.cli", "workflow", "repair", broken["id"]]
    answer = subprocess.run(
        command,
        cwd=examples_server.root,
        env=examples_server.environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    mended = examples_server.api("GET", "tasks?kind=workflow&limit=1")["tasks"][0]
    steps = _steps(examples_server, mended["id"])
    assert (mended["retry_of"], mended["outputs"]) == (broken["id"], first["outputs"])
    assert {name for name, step in steps.items() if not step["reused_from"]} == {"report"}


def test_the_greeting_passes_values_from_step_to_step(examples_server: JupyterProcess) -> None:
    """The ancestor's example: ingest, metrics, greet, announce, each with a notebook to read."""
    workflow, steps = _workflow(examples_server, "greeting.yaml")

    assert workflow["state"] == "success", workflow["error"]
    assert list(steps) == ["ingest", "metrics", "greet", "announce"]
    assert steps["metrics"]["outputs"]["body_mass_g"]["count"] == 342
    assert steps["greet"]["outputs"]["result"] == "Hello, penguins, 4202 g on average!"
    assert steps["announce"]["outputs"]["stdout"] == "the figures are ready\n"
    for step in steps.values():
        assert (examples_server.root / step["run_directory"] / "output.ipynb").is_file()


def _workflow(
    server: JupyterProcess, path: str
) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """A run that has ended, and its steps."""
    submission = {"kind": "workflow", "spec": {"path": path}}
    task = server.await_task(server.api("POST", "tasks", submission)["id"])
    return task, _steps(server, task["id"])


def _steps(server: JupyterProcess, workflow_id: str) -> dict[str, dict[str, Any]]:
    parts = server.api("GET", f"tasks?parent={workflow_id}&sort=created_at")["tasks"]
    return {part["step"]: part for part in parts}
