"""Users of jupyter-scheduler move over: its real package and its real front end on our server."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import nbformat
import pytest

from jupyter_process import PATIENCE_SECONDS, JupyterProcess, jupyter_server
from opspawn_jupyter.cli import main

REPOSITORY = Path(__file__).parent.parent.parent
PEER = REPOSITORY / ".scheduler"
PYTHON = PEER / "bin" / "python"
NAME = "from its own form"
CLIENT = Path(__file__).with_name("jupyter_scheduler_client.py")

pytestmark = pytest.mark.skipif(
    not (PEER / ".installed").exists(),
    reason="jupyter-scheduler is not there; make .scheduler/.installed",
)


def peer(*words: str) -> None:
    """Its own Python does this, with its own package."""
    done = subprocess.run(
        [PYTHON, CLIENT, *words],
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def scheduler_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JupyterProcess]:
    """JupyterLab of ours with its front end, and without its server."""
    directory = tmp_path_factory.mktemp("scheduler")
    root = directory / "root"
    root.mkdir()
    cells = [
        nbformat.v4.new_code_cell("day: str = 'none'", metadata={"tags": ["parameters"]}),
        nbformat.v4.new_code_cell("print(day)"),
    ]
    spec = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
    notebook = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": spec})
    nbformat.write(notebook, root / "report.ipynb")
    extensions = PEER / "share" / "jupyter" / "labextensions"
    arguments = [
        "--LabApp.expose_app_in_browser=True",
        f"--LabApp.extra_labextensions_path={extensions}",
    ]
    with jupyter_server(root, directory / "home", app="jupyterlab", arguments=arguments) as process:
        assert process.await_health()["status"] == "ok", process.log
        yield process


def test_its_client_models_speak_with_our_server(scheduler_lab: JupyterProcess) -> None:
    peer("contract", scheduler_lab.url, scheduler_lab.token)


def test_its_definitions_and_past_jobs_are_brought_in_from_a_database_that_it_wrote(
    scheduler_lab: JupyterProcess,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Twice comes to the same; what has no end is told, and left out."""
    file, staging = tmp_path / "scheduler.sqlite", tmp_path / "staging"
    peer("database", str(file), str(staging), str(scheduler_lab.root / "report.ipynb"))
    before = file.read_bytes()
    monkeypatch.setenv("OPSPAWN_TOKEN", scheduler_lab.token)
    words = ["import", "jupyter-scheduler", "--database", str(file), "--staging", str(staging)]
    words += ["--server", scheduler_lab.url]

    for _ in range(2):
        assert main(words) == 1
        told = capsys.readouterr().out
        assert "past jobs: 2 of 3 are in the history" in told
        assert "it is IN_PROGRESS, and has no end" in told

    assert file.read_bytes() == before
    tasks = {task["name"]: task for task in scheduler_lab.api("GET", "tasks")["tasks"]}
    done, broken = tasks["Moved- daily"], tasks["broken"]
    assert (done["state"], done["finished_at"]) == ("success", "2025-06-15T15:06:45+00:00")
    assert (broken["state"], broken["error"]["message"]) == ("failed", "ZeroDivisionError")
    schedule = scheduler_lab.api("GET", "schedules/Moved-%20daily")["schedule"]
    assert (schedule["state"], done["labels"]["schedule_id"]) == ("paused", schedule["id"])
    output = scheduler_lab.root / done["run_directory"] / "output.ipynb"
    assert json.loads(output.read_text())["cells"]


@pytest.mark.browser
def test_its_front_end_makes_a_job_and_shows_what_became_of_it(
    browser: Any, scheduler_lab: JupyterProcess
) -> None:
    from playwright.sync_api import expect

    from browser import lab_page

    with lab_page(browser) as page:
        page.goto(f"{scheduler_lab.url}lab?reset&token={scheduler_lab.token}")
        page.wait_for_function("async () => { await window.jupyterapp?.started; return true }")
        page.locator(".jp-DirListing-item", has_text="report.ipynb").click(button="right")
        page.locator(".lm-Menu-item", has_text="Create Job").click()
        page.get_by_label("Job name").fill(NAME)
        page.get_by_role("button", name="Create", exact=True).click()
        row = page.get_by_role("row").filter(has_text=NAME)
        expect(row).to_be_visible()
        (task,) = scheduler_lab.api("GET", f"tasks?name={quote(NAME)}")["tasks"]
        assert scheduler_lab.await_task(task["id"])["state"] == "success"
        page.get_by_role("button", name="Reload").click()  # it does not look again by itself
        expect(row).to_contain_text("Completed")
