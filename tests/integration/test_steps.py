"""Steps of plugins as tasks of their own: through a real server, in real kernels, and with a
plugin package that somebody else made and installed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import psutil
import pytest

from jupyter_process import JupyterProcess, end_all, start, stop

PACKAGE = Path(__file__).parent / "plugin_package"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where pip has put the package of the other author."""
    target, package = tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("package")
    shutil.copytree(PACKAGE, package, dirs_exist_ok=True)  # building leaves files in it
    command = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-build-isolation"]
    answer = subprocess.run(
        [*command, "--target", str(target), str(package)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if answer.returncode:
        pytest.skip(f"a package cannot be built here: {answer.stderr.strip()[-300:]}")
    return target


@pytest.fixture(scope="module")
def jupyter(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[JupyterProcess]:
    """A server of an environment that has the package."""
    root, home = tmp_path_factory.mktemp("root"), tmp_path_factory.mktemp("home")
    (root / "data.csv").write_text("n,word\n1,a\n3,b\n")
    variables = {"PYTHONPATH": str(installed)}
    server = start(
        root,
        home,
        arguments=["--ServerApp.jpserver_extensions={'opspawn_jupyter': True}"],
        variables=variables,
    )
    try:
        server.await_health()
        yield server
    finally:
        stop(server.process)
        end_all(home)


def done(jupyter: JupyterProcess, kind: str, spec: dict[str, Any]) -> dict[str, Any]:
    """The task, once it has ended."""
    task = jupyter.api("POST", "tasks", {"kind": kind, "spec": spec})
    return jupyter.await_task(task["id"])


def opspawn(jupyter: JupyterProcess, *words: str) -> subprocess.CompletedProcess[str]:
    """The shell command, in the server's root."""
    return subprocess.run(
        [sys.executable, "-m", "opspawn_jupyter.cli", *words],
        cwd=jupyter.root,
        env=jupyter.environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_somebody_elses_plugin_is_a_kind_like_any_other(jupyter: JupyterProcess) -> None:
    task = done(jupyter, "to_celsius", {"degrees": [32, 212]})

    assert task["state"] == "success", task["error"]
    assert task["outputs"] == {"celsius": [0.0, 100.0], "before": []}
    executed = nbformat.read(jupyter.root / task["run_directory"] / "output.ipynb", 4)
    assert "Step `to_celsius`" in executed.cells[0].source
    printed = [out.text for cell in executed.cells for out in cell.get("outputs", ()) if
               out.output_type == "stream"]  # fmt: skip
    assert printed == ["turning 2\n"]


def test_a_plugin_of_the_ancestor_runs_unchanged(jupyter: JupyterProcess) -> None:
    """It has a name, takes a dict, and leaves its results in the context."""
    task = done(jupyter, "remember", {"what": {"a": 1}})

    assert (task["state"], task["outputs"]) == ("success", {"remembered": {"a": 1}})


def test_the_plugins_are_listed_with_what_is_wrong_with_them(jupyter: JupyterProcess) -> None:
    plugins = {one["name"]: one for one in jupyter.api("GET", "plugins")["plugins"]}

    assert plugins["to_celsius"]["package"] == "weather-steps 1.2.3"
    assert plugins["to_celsius"]["config_schema"]["required"] == ["degrees"]
    assert plugins["shell"]["description"].startswith("Run a command")
    assert "No module named 'weather_steps.not_there'" in plugins["broken_step"]["problem"]
    text = opspawn(jupyter, "plugins").stdout
    assert "config: degrees" in text


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("broken_step", "No module named"),
        ("to_celsius --config {}", "config of a to_celsius step: degrees: field required"),
        ("to_celsius -p degrees=hot", "degrees takes JSON"),
        ("to_celsius --config [1]", "invalid JSON object value"),
        ("to_fahrenheit", "no task kind of this name: 'to_fahrenheit'"),
    ],
)
def test_a_step_that_cannot_run_is_refused_in_the_shell(
    jupyter: JupyterProcess, words: str, reason: str
) -> None:
    answer = opspawn(jupyter, "step", *words.split())

    assert (answer.returncode, answer.stdout) == (2, "")
    assert reason in answer.stderr
    assert answer.stderr.count("\n") == 1


def test_a_command_fails_in_the_shell_as_it_fails(jupyter: JupyterProcess) -> None:
    good = opspawn(jupyter, "step", "shell", "-p", "command=echo $((20 + 22))")
    bad = opspawn(jupyter, "step", "shell", "--config", json.dumps({"command": "exit 7"}))

    assert (good.returncode, bad.returncode) == (0, 1)
    assert "42" in good.stdout
    assert "non-zero exit status 7" in bad.stderr


def test_a_table_stays_with_the_task_that_read_it(jupyter: JupyterProcess) -> None:
    """Two ingests at one time have two tables."""
    spec = {"path": "data.csv", "columns": ["n"]}
    pair = [jupyter.api("POST", "tasks", {"kind": "csv_ingest", "spec": spec}) for _ in range(2)]

    tables = []
    for task in pair:
        ended = jupyter.await_task(task["id"])
        assert ended["state"] == "success", ended["error"]
        table = ended["outputs"]["dataframe"]
        assert (table["rows"], table["columns"]) == (2, ["n"])
        tables.append(jupyter.root / ended["run_directory"] / table["$file"])
    assert len(set(tables)) == 2
    assert all(table.read_bytes()[:4] == b"PAR1" for table in tables)


def test_a_cancelled_command_leaves_no_process(jupyter: JupyterProcess) -> None:
    note = jupyter.root / "pid"
    command = f"sleep 600 & echo $! > {note}.tmp; mv {note}.tmp {note}; echo started; wait"
    task = jupyter.api("POST", "tasks", {"kind": "shell", "spec": {"command": command}})
    for _ in jupyter_lines(jupyter, task["id"]):
        break

    jupyter.api("POST", f"tasks/{task['id']}/cancel")

    assert jupyter.await_task(task["id"])["state"] == "cancelled"
    pid = int(note.read_text())
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def jupyter_lines(jupyter: JupyterProcess, task_id: str) -> Iterator[str]:
    """What the task's cells print, as it comes."""
    from opspawn_jupyter import connect

    with connect(jupyter.url, jupyter.token) as client:
        for event in client.follow(task_id):
            if event.data.get("output", {}).get("name") == "stdout":
                yield event.data["output"]["text"]


def test_what_scrapbook_glues_is_an_output(jupyter: JupyterProcess) -> None:
    """Notebooks that were written for scrapbook give their values here too."""
    source = (
        "import pandas as pd, scrapbook as sb\n"
        "sb.glue('score', 0.5)\n"
        "sb.glue('words', ['w' * 1000] * 100)\n"
        "sb.glue('table', pd.DataFrame({'n': [1, 2]}), 'pandas')\n"
    )
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    nbformat.write(notebook, jupyter.root / "glue.ipynb")

    task = done(jupyter, "notebook", {"notebook": "glue.ipynb"})

    assert task["state"] == "success", task["error"]
    assert task["outputs"]["score"] == 0.5
    assert task["outputs"]["words"]["format"] == "json"
    assert task["outputs"]["table"]["format"] == "parquet"
    executed = (jupyter.root / task["run_directory"] / "output.ipynb").read_text()
    assert "application/scrapbook.scrap.json+json" in executed, "scrapbook's readers need it"


def test_a_step_is_submitted_from_python(jupyter: JupyterProcess) -> None:
    from opspawn_jupyter import connect

    with connect(jupyter.url, jupyter.token) as client:
        task = client.step("python_function", {"function": "os.path:join", "args": ["a", "b"]})

        assert task.result(90) == {"result": os.path.join("a", "b")}  # noqa: PTH118
        assert "shell" in [plugin.name for plugin in client.plugins()]
