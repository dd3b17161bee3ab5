"""The pytest plugin: notebooks as tests where that is asked for, and silence where it is not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from jupyter_process import PATIENCE_SECONDS
from tests.integration.test_audits import write_notebook


def pytest_in(directory: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", *words]
    return subprocess.run(
        command,
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )


def test_notebooks_are_audited_where_it_is_asked_for(jupyter_home: Path, tmp_path: Path) -> None:
    """Unasked, nothing of ours is collected; asked, each notebook is a test that says what it
    lacks. One session has one server."""
    place = tmp_path / "repository"
    write_notebook(place / "good.ipynb", ("print(6 * 7)", "42\n"))
    write_notebook(place / "bad.ipynb", ("print(6 * 7)", "41\n"))
    (place / "pytest.ini").write_text("[pytest]\n")

    unasked = pytest_in(place)
    asked = pytest_in(place, "--opspawn-audit", "--opspawn-fail-under", "REPRODUCED")

    assert unasked.returncode == 5, unasked.stdout  # nothing collected
    assert "1 failed, 1 passed" in asked.stdout, asked.stdout + asked.stderr
    assert "EXECUTES, asked for was REPRODUCED" in asked.stdout
    assert "same_results: fail. 1 cell of 1 gives something else" in asked.stdout
