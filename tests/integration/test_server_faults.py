"""What a real server says and does when disk, files and history fail it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import psutil
import pytest

from jupyter_process import PATIENCE_SECONDS, environment

FINAL = ("success", "failed", "timed_out", "crashed", "cancelled")


def write_notebook(path: Path, *sources: str) -> None:
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)


def run(server, *sources: str, **given: Any) -> dict[str, Any]:
    """A task of these cells that has ended."""
    name = f"nb{len(list(server.root.glob('*.ipynb')))}.ipynb"
    write_notebook(server.root / name, *sources)
    status, task = server.json("POST", "tasks", body={"spec": {"notebook": name}, **given})
    assert status == 201, task
    return server.wait(
        "the task's end",
        lambda: server.json("GET", f"tasks/{task['id']}")[1],
        lambda one: one["state"] in FINAL,
    )


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An empty directory for a server to serve."""
    directory = tmp_path / "root"
    directory.mkdir()
    return directory


def health(server) -> dict[str, Any]:
    return server.json("GET", "health", token=None)[1]


def until_healthy(server) -> None:
    server.wait("health", lambda: health(server), lambda one: one["status"] == "ok")


def command(root: Path, home: Path, *words: str, **variables: str) -> tuple[int, str]:
    """Exit code and output of the shell command, in this directory."""
    done = subprocess.run(
        [sys.executable, "-m", "opspawn_jupyter.cli", *words],
        cwd=root,
        env=environment(home) | variables,
        check=False,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )
    return done.returncode, done.stdout + done.stderr


def findings(root: Path, home: Path, **variables: str) -> tuple[int, dict[str, dict[str, str]]]:
    """Exit code and findings of the doctor, by check."""
    code, said = command(root, home, "doctor", "--json", **variables)
    return code, {one["check"]: one for one in json.loads(said)["findings"]}


@pytest.mark.skipif(not hasattr(psutil.Process, "rlimit"), reason="only Linux limits others' files")
def test_a_full_disk_shows_in_health_and_is_over_when_there_is_room(running, tmp_path, root):
    """Nothing is half accepted, and nobody has to restart the server."""
    with running(root, tmp_path / "home") as one:
        before = run(one, "1")
        process = psutil.Process(one.jupyter.process.pid)
        _, hard = process.rlimit(psutil.RLIMIT_FSIZE)
        process.rlimit(psutil.RLIMIT_FSIZE, (16, hard))  # as if every disk were full

        refusals = [
            one.json("POST", "tasks", body={"spec": {"notebook": "nb0.ipynb"}}) for _ in range(3)
        ]

        assert [(status, answer["code"]) for status, answer in refusals] == [
            (503, "store_unavailable")
        ] * 3
        assert one.json("GET", f"tasks/{before['id']}")[1]["state"] == "success"
        runs = list((one.root / "opspawn_runs").iterdir())
        assert [path.name for path in runs] == [Path(before["run_directory"]).name]
        process.rlimit(psutil.RLIMIT_FSIZE, (hard, hard))
        until_healthy(one)
        assert run(one, "2")["state"] == "success"


@pytest.mark.skipif(not hasattr(psutil.Process, "rlimit"), reason="only Linux limits others' files")
def test_a_journal_without_room_is_a_problem_of_health(running, tmp_path, root):
    """A probe must see it though nobody submits; a cancellation is what meets it here."""
    with running(root, tmp_path / "home") as one:
        write_notebook(one.root / "slow.ipynb", "import time; time.sleep(600)")
        task = one.json("POST", "tasks", body={"spec": {"notebook": "slow.ipynb"}})[1]
        process = psutil.Process(one.jupyter.process.pid)
        _, hard = process.rlimit(psutil.RLIMIT_FSIZE)
        process.rlimit(psutil.RLIMIT_FSIZE, (16, hard))

        status, refusal = one.json("POST", f"tasks/{task['id']}/cancel", body={})
        said = one.wait("degraded", lambda: health(one), lambda one: one["status"] != "ok")
        code, found = findings(one.root, tmp_path / "home")

        assert (status, refusal["code"]) == (503, "store_unavailable")
        assert "make room" in said["problem"]
        assert (code, found["extension"]["verdict"]) == (1, "problem")
        assert found["store"]["verdict"] == "problem"
        process.rlimit(psutil.RLIMIT_FSIZE, (hard, hard))
        until_healthy(one)
        assert one.json("POST", f"tasks/{task['id']}/cancel", body={})[0] == 202
        one.wait(
            "the end",
            lambda: one.json("GET", f"tasks/{task['id']}")[1]["state"],
            lambda state: state == "cancelled",
        )


def _in_the_way(state: Path) -> None:
    state.write_text("a file where the directory should be")


def _damaged(state: Path) -> None:
    state.mkdir()
    (state / "opspawn.duckdb").write_bytes(b"no database" * 1000)


@pytest.mark.parametrize("spoil", [_in_the_way, _damaged])
def test_a_store_that_cannot_be_opened_degrades_and_comes_back(running, tmp_path, spoil, root):
    """JupyterLab must start, whatever is wrong with us; and go on once it is put right."""
    state = root / ".opspawn"
    spoil(state)

    with running(root, tmp_path / "home") as one:
        said = health(one)
        refused = one.json("POST", "tasks", body={"spec": {}})
        told = one.json("GET", "diagnosis")
        code, found = findings(root, tmp_path / "home")
        shutil.rmtree(state) if state.is_dir() else state.unlink()
        until_healthy(one)
        after = run(one, "1")

    assert said["status"] == "degraded"
    assert (refused[0], refused[1]["code"]) == (503, "store_unavailable")
    assert told[0] == 200
    assert told[1]["health"]["problem"] == said["problem"]
    assert (code, found["extension"]["verdict"]) == (1, "problem")
    assert after["state"] == "success"


@pytest.mark.slow
def test_a_lost_history_is_noticed_and_rebuilt(running, tmp_path, root):
    """Somebody deletes .opspawn: the tasks come back from their run directories, all of them."""
    home = tmp_path / "home"
    with running(root, home) as one:
        step = "from opspawn_jupyter import step\n"
        before = [
            run(one, f"{step}step.output('rows', [1, 2])", "2", labels={"team": "a"}, name="first"),
            run(one, "1", "1/0", policy={"max_retries": 1, "retry_delay_seconds": 0}),
            run(one, "import os; os.kill(os.getpid(), 9)"),
        ]
        refused = command(root, home, "store", "rebuild")
    shutil.rmtree(root / ".opspawn")

    with running(root, home) as one:
        noticed = health(one)
        found = findings(root, home)[1]
        run(one, "1")
    code, said = command(root, home, "store", "rebuild")

    assert refused[0] == 2
    assert "stop the server first" in refused[1]
    assert noticed["status"] == "ok"
    assert "opspawn store rebuild" in noticed["problem"]
    assert found["history"]["message"].startswith("3 run directories")
    assert (code, said.splitlines()[0]) == (
        0,
        f"4 tasks restored from {root / 'opspawn_runs'}",
    )
    assert len(list((root / ".opspawn").glob("before-rebuild-*/opspawn.duckdb"))) == 1
    assert (root / ".opspawn").stat().st_mode & 0o777 == 0o700
    with running(root, home) as one:
        assert health(one) == {"status": "ok", "version": noticed["version"], "problem": None}
        for task in before:
            again = one.json("GET", f"tasks/{task['id']}")[1]
            assert {**again, "seq": 0} == {**task, "seq": 0}


def test_a_doctor_without_any_server(tmp_path):
    """The first thing that somebody types when nothing works."""
    code, found = findings(tmp_path, tmp_path / "home")
    text = command(tmp_path, tmp_path / "home", "doctor")[1]

    assert code == 0
    assert found["server found"]["verdict"] == "warning"
    assert found["store"]["verdict"] == "ok"
    assert "! warning" in text


def test_a_doctor_of_a_healthy_server_and_of_a_wrong_token(running, tmp_path, root):
    """All is well; then the one thing that is not is named."""
    home = tmp_path / "home"
    with running(root, home) as one:
        run(one, "1")
        code, found = findings(root, home)
        address = {"OPSPAWN_URL": one.jupyter.url, "OPSPAWN_TOKEN": "wrong"}
        wrong_code, wrong = findings(root, home, **address)
    stopped_code, stopped = findings(root, home)

    assert (code, {one["verdict"] for one in found.values()}) == (0, {"ok"}), found
    assert {"worker", "kernels", "store", "run directories", "token"} <= set(found)
    assert (wrong_code, wrong["token"]["verdict"]) == (1, "problem")
    assert stopped_code == 0
    assert "chain of hashes holds" in stopped["store"]["message"]


def test_pruned_files_are_gone_and_said_to_be(running, tmp_path, root):
    """410 and a sentence, not a 404 that looks like a mistake; the outputs stay."""
    with running(root, tmp_path / "home") as one:
        step = "from opspawn_jupyter import step; step.output('x', 1)"
        task, kept = run(one, step, labels={"tmp": "yes"}), run(one, "1")

        dry = command(one.root, tmp_path / "home", "prune", "--keep", "0", "--dry-run")
        code, said = command(one.root, tmp_path / "home", "prune", "--keep=0", "--label", "tmp=yes")

        assert "2 run directories would be removed" in dry[1]
        assert (code, "1 run directories removed" in said) == (0, True)
        assert not (one.root / task["run_directory"]).exists()
        assert (one.root / kept["run_directory"]).exists()
        for path in ("notebook", "logs", "artifacts"):
            status, answer = one.json("GET", f"tasks/{task['id']}/{path}")
            assert (status, answer["code"]) == (410, "files_pruned")
        assert one.json("GET", f"tasks/{task['id']}/result")[1]["outputs"] == {"x": 1}


def test_retention_is_kept_by_the_server_itself(running, tmp_path, root):
    """At its start; nobody has to remember it."""
    home = tmp_path / "home"
    with running(root, home) as one:
        tasks = [run(one, "1") for _ in range(2)]

    with running(root, home, "--OpspawnExtension.retention_max_tasks=1") as one:
        one.wait(
            "retention",
            lambda: one.json("GET", f"tasks/{tasks[0]['id']}")[1]["pruned_at"],
            lambda moment: moment is not None,
        )

    assert not (root / tasks[0]["run_directory"]).exists()
    assert (root / tasks[1]["run_directory"]).exists()
