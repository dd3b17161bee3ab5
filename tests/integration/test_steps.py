"""Steps of plugins as tasks of their own: through a real server, in real kernels, and with a
plugin package that somebody else made and installed."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest

from jupyter_process import PATIENCE_SECONDS, JupyterProcess, end_all, start, stop
from opspawn_jupyter.model import task_file
from opspawn_jupyter.model.run_directory import RunDirectory
from tests.integration.test_runner_notebook import wait_gone

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
        timeout=PATIENCE_SECONDS,
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
        timeout=PATIENCE_SECONDS,
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
    wait_gone(int(note.read_text()))


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

        assert task.result(PATIENCE_SECONDS) == {"result": os.path.join("a", "b")}  # noqa: PTH118
        assert "shell" in [plugin.name for plugin in client.plugins()]


_FUNCTIONS = """
import os, sys, time

count = 0

def square(n):
    global count
    count += 1
    print("squaring", n)
    return n * n

def where(context):
    return {"pid": os.getpid(), "here": os.getcwd(), "before": context["s1"]}

def refuse():
    os.environ["LEFT_BEHIND"] = "1"
    raise ValueError("no good")

def variable():
    return os.environ.get("LEFT_BEHIND")

def keep():
    with open(os.environ["OPSPAWN_RUN_DIRECTORY"] + "/artifacts/note.txt", "w") as file:
        file.write("kept")

def improve():
    note = os.environ["OPSPAWN_RUN_DIRECTORY"] + "/artifacts/seen"
    if not os.path.exists(note):
        open(note, "w").close()
        raise ValueError("not yet")

def die():
    os._exit(3)

def linger(note):
    with open(note, "w") as file:
        file.write("begun")
    time.sleep(600)
"""


def pooled(function: str, *args: Any, **step: Any) -> dict[str, Any]:
    """A step that shares its process."""
    config = {"function": f"pooled_functions:{function}", "args": list(args), "tier": "pool"}
    return {"plugin": "python_function", "config": config, **step}


def run_graph(jupyter: JupyterProcess, *steps: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Each step's task by step, once the workflow has ended."""
    (jupyter.root / "pooled_functions.py").write_text(_FUNCTIONS)
    workflow = done(jupyter, "workflow", {"graph": {"tasks": list(steps)}})
    return children(jupyter, workflow["id"])


def children(jupyter: JupyterProcess, workflow: str) -> dict[str, dict[str, Any]]:
    page = jupyter.api("GET", f"tasks?parent={workflow}&limit=200")
    return {task["step"]: task for task in page["tasks"]}


def test_many_small_steps_share_a_process_and_each_leaves_its_record(
    jupyter: JupyterProcess,
) -> None:
    """A kernel for each would take a hundred times what the functions take."""
    squares = [pooled("square", n, id=f"s{n}") for n in range(30)]
    after = pooled("where", id="after", depends_on=["s1", "bad"], trigger_rule="all_done")
    clean = pooled("variable", id="clean", depends_on=["bad"], trigger_rule="all_done")
    keeper = pooled("keep", id="keeper")
    tasks = run_graph(jupyter, *squares, keeper, pooled("refuse", id="bad"), after, clean)

    assert [tasks[f"s{n}"]["outputs"]["result"] for n in range(30)] == [n * n for n in range(30)]
    assert {task["tier"] for task in tasks.values()} == {"pool"}
    assert (tasks["bad"]["state"], tasks["bad"]["error"]["name"]) == ("failed", "ValueError")
    assert tasks["bad"]["cells"][-2]["state"] == "failed"
    given = tasks["after"]["outputs"]["result"]
    assert (given["here"], given["before"]) == (str(jupyter.root), 1)
    assert tasks["clean"]["outputs"]["result"] is None, "no step sees another one's variables"
    run = jupyter.root / tasks["s3"]["run_directory"]
    executed = nbformat.read(run / "output.ipynb", 4)
    nbformat.validate(executed)
    assert executed.cells[-1].outputs[0].data["text/plain"] == "9"
    assert executed.cells[-2].outputs[0].text == "squaring 3\n"
    assert executed.metadata.papermill.parameters.config.args == [3]
    assert "squaring 3" in (run / "run.log").read_text()
    assert (run / "environment.json").is_file()
    pinned = task_file.read(RunDirectory(run))["spec"]["source_sha256"]
    assert hashlib.sha256((run / "input.ipynb").read_bytes()).hexdigest() == pinned
    left = jupyter.root / tasks["keeper"]["run_directory"] / "artifacts" / "note.txt"
    assert left.read_text() == "kept", "what a step leaves stays with it, whoever comes next"


def test_a_step_that_shares_its_process_can_be_tried_again_there(jupyter: JupyterProcess) -> None:
    """What the first attempt has left stays, and the second one's record takes its place."""
    retry = {"max_retries": 1, "delay_seconds": 0}
    tasks = run_graph(jupyter, pooled("improve", id="better", retry=retry))

    better = tasks["better"]
    assert (better["state"], better["attempt"]) == ("success", 2)
    record = jupyter.root / better["run_directory"] / "environment.json"
    assert json.loads(record.read_text())["kernel"]["implementation"] == "none"


def test_a_step_that_ends_its_process_is_the_only_one_that_crashes(
    jupyter: JupyterProcess,
) -> None:
    """The others that waited in it go on elsewhere."""
    squares = [pooled("square", n, id=f"s{n}") for n in range(12)]
    tasks = run_graph(jupyter, *squares[:6], pooled("die", id="dead"), *squares[6:])

    assert tasks["dead"]["state"] == "crashed"
    assert "exit code 3" in tasks["dead"]["error"]["message"]
    assert {tasks[f"s{n}"]["state"] for n in range(12)} == {"success"}


def test_a_limit_and_a_cancellation_end_what_shares_a_process(
    jupyter: JupyterProcess, tmp_path: Path
) -> None:
    slow = pooled("linger", str(tmp_path / "note"), id="slow", timeout_seconds=0.5)
    tasks = run_graph(jupyter, slow, *(pooled("square", n, id=f"s{n}") for n in range(8)))

    assert (tasks["slow"]["state"], tasks["s7"]["state"]) == ("timed_out", "success")

    spec = pooled("linger", str(tmp_path / "other"))["config"]
    task = jupyter.api("POST", "tasks", {"kind": "python_function", "spec": spec})
    while not (tmp_path / "other").exists():
        assert not jupyter.api("GET", f"tasks/{task['id']}")["finished_at"]
    jupyter.api("POST", f"tasks/{task['id']}/cancel")
    assert jupyter.await_task(task["id"])["state"] == "cancelled"
