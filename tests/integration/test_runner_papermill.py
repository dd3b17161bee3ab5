"""papermill's own command line with our engine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from jupyter_process import PATIENCE_SECONDS


def papermill(directory: Path, *cells: Any, flags: tuple[str, ...] = ()) -> tuple[int, Any]:
    """Exit code and executed notebook of ``papermill --engine opspawn``."""
    made = []
    for one in cells:
        source, *tags = (one,) if isinstance(one, str) else one
        made.append(
            {
                "cell_type": "code",
                "source": source,
                "metadata": {"tags": tags},
                "outputs": [],
                "execution_count": None,
            }
        )
    kernelspec = {"name": "python3", "language": "python", "display_name": "Python 3"}
    notebook = {
        "cells": made,
        "metadata": {"kernelspec": kernelspec},
        "nbformat": 4,
        "nbformat_minor": 4,
    }
    (directory / "in.ipynb").write_text(json.dumps(notebook))
    command = [sys.executable, "-m", "papermill", "--engine", "opspawn", "in.ipynb", "out.ipynb"]
    done = subprocess.run(
        [*command, "--no-progress-bar", *flags],
        cwd=directory,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )
    print(done.stderr)  # pytest shows it where the test fails
    return done.returncode, json.loads((directory / "out.ipynb").read_text())


def states(notebook: Any) -> list[str]:
    cells = [cell["metadata"].get("opspawn") for cell in notebook["cells"]]
    return [cell["state"] for cell in cells if cell]


@pytest.mark.parametrize(
    ("cells", "flags", "code", "expected"),
    [
        ((("a = 1", "parameters"), "print(a)"), ("-p", "a", "5"), 0, ["success"] * 3),
        (("1", "1 / 0", "3"), (), 1, ["success", "failed", "not_run"]),
        (
            ("1", "import os; os.kill(os.getpid(), 9)", "3"),
            (),
            138,
            ["success", "crashed", "not_run"],
        ),
        (
            ("1", "import time; time.sleep(600)", "3"),
            ("--execution-timeout", "4"),
            1,
            ["success", "timed_out", "not_run"],
        ),
    ],
    ids=["success", "failure", "dead-kernel", "timeout"],
)
def test_papermill_exits_as_ever_and_the_notebook_tells_the_truth(
    tmp_path: Path, cells: Any, flags: tuple[str, ...], code: int, expected: list[str]
) -> None:
    """The engine is of use to anybody who uses papermill, without a server."""
    exit_code, notebook = papermill(tmp_path, *cells, flags=flags)

    assert exit_code == code
    assert states(notebook) == expected


def test_another_working_directory_does_not_move_the_output(tmp_path: Path) -> None:
    """papermill changes the directory before it calls an engine."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()

    _, notebook = papermill(
        tmp_path, "import os; print(os.getcwd())", flags=("--cwd", str(elsewhere))
    )

    assert notebook["cells"][0]["outputs"][0]["text"] == [f"{elsewhere}\n"]
    assert list(elsewhere.iterdir()) == []


_COUNTING = """
import json, sys
from pathlib import Path
from papermill import execute_notebook
from papermill.engines import papermill_engines
from opspawn_jupyter import files

ends = []
def count(path, data, write=files.write_atomic):
    if Path(path).name == "out.ipynb":
        ends.append(json.loads(data)["metadata"]["papermill"]["end_time"] is not None)
    write(path, data)
files.write_atomic = count

import nbformat
notebook = nbformat.read("in.ipynb", 4)
if sys.argv[1] == "papermill":
    execute_notebook("in.ipynb", "out.ipynb", engine_name="opspawn", progress_bar=False)
else:
    notebook.metadata["papermill"] = {}
    papermill_engines.execute_notebook_with_engine(
        "opspawn", notebook, "python3", output_path="out.ipynb", progress_bar=False
    )
print(json.dumps(ends.count(True)))
"""


@pytest.mark.parametrize(("caller", "saves"), [("papermill", 0), ("engine", 1)])
def test_the_end_is_saved_by_whoever_does_it_anyway(
    tmp_path: Path, caller: str, saves: int
) -> None:
    """papermill writes what an engine returns; large outputs are not written twice for that."""
    papermill(tmp_path, "print('x')")

    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _COUNTING, caller],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE_SECONDS,
    )

    assert json.loads(done.stdout) == saves
    notebook = json.loads((tmp_path / "out.ipynb").read_text())
    assert states(notebook) == ["success"]
    assert notebook["cells"][0]["outputs"][0]["text"] == ["x\n"]
    assert notebook["metadata"]["papermill"]["end_time"]
