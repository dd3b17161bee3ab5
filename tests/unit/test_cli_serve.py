"""``opspawn run --serve``: a real server for one run, and nothing of it afterwards."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from jupyter_process import PATIENCE_SECONDS
from opspawn_jupyter.cli import serving
from opspawn_jupyter.cli.serving import common_root
from opspawn_jupyter.errors import ServerNotFound

NOTEBOOK = {
    "nbformat": 4,
    "nbformat_minor": 5,
    "metadata": {"kernelspec": {"name": "python3", "display_name": "Python"}},
    "cells": [
        {
            "cell_type": "code",
            "id": "one",
            "metadata": {},
            "execution_count": None,
            "outputs": [],
            "source": "from opspawn_jupyter import step\nprint('hello')\nstep.output('n', 1)",
        }
    ],
}


def marked(directory: Path) -> list[psutil.Process]:
    """Processes that were started with this temporary directory."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("TMPDIR") == str(directory):
                found.append(process)
        except psutil.Error:
            continue  # ended, or another user's
    return found


@pytest.mark.slow
def test_a_run_serves_itself_and_leaves_only_its_results(
    runtime_directory: Path, tmp_path: Path
) -> None:
    """The tool is of use where no JupyterLab is, in a cron job for one; also where the directory
    for temporary files has a longer path than a socket may have."""
    scratch, work = tmp_path / "t" / ("mp" * 40), tmp_path / "work"
    scratch.mkdir(parents=True)
    work.mkdir()
    (work / "hello.ipynb").write_text(json.dumps(NOTEBOOK))

    answer = subprocess.run(
        [sys.executable, "-m", "opspawn_jupyter.cli", "run", "hello.ipynb", "--serve", "--json"],
        cwd=work,
        env={**os.environ, "TMPDIR": str(scratch)},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )

    assert answer.returncode == 0, answer.stderr
    task = json.loads(answer.stdout)
    assert (task["state"], task["outputs"]) == ("success", {"n": 1})
    assert (work / task["run_directory"] / "output.ipynb").is_file()
    assert "hello\n" in answer.stderr
    assert marked(scratch) == []
    assert list(scratch.glob("opspawn-serve-*")) == []


def test_the_served_directory_holds_notebook_and_current_directory(tmp_path: Path) -> None:
    """Never the whole disk: a state directory would be made at its root."""
    assert common_root([tmp_path / "a", tmp_path / "b" / "c"]) == tmp_path
    assert common_root([Path("/nowhere/a"), tmp_path]) == tmp_path


#: Says where it listens, hangs up on whoever comes, twice, and ends.
_HANGS_UP = """
import json, os, socket, sys
from pathlib import Path
with socket.socket() as line:
    line.bind(("127.0.0.1", 0))
    line.listen()
    runtime = Path(sys.argv[1], "runtime")
    runtime.mkdir()
    url = f"http://127.0.0.1:{line.getsockname()[1]}/"
    file = runtime / f"jpserver-{os.getpid()}.json"
    file.with_suffix(".new").write_text(json.dumps({"url": url}))
    file.with_suffix(".new").rename(file)
    for _ in range(2):
        line.accept()[0].close()
Path(sys.argv[1], "server.log").write_text("the port is taken")
"""


def test_a_server_that_ends_while_it_is_waited_for_did_not_come_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its port may have been taken before it listened there. Whoever hangs up on us until then
    says nothing that could be told to anybody."""

    def start(_root: Path, scratch: Path) -> subprocess.Popen[bytes]:
        (scratch / "config.json").write_text(json.dumps({"IdentityProvider": {"token": "t"}}))
        return subprocess.Popen([sys.executable, "-c", _HANGS_UP, str(scratch)])

    monkeypatch.setattr(serving, "_start", start)

    with (
        pytest.raises(ServerNotFound, match="did not come up: the port is taken"),
        serving.temporary_server(tmp_path),
    ):
        pass
