"""Fault points: nothing in production, and all of them where the list says."""

from __future__ import annotations

import errno
import re
import subprocess
import sys
from pathlib import Path

import pytest

from opspawn_jupyter import faults

PACKAGE = Path(faults.__file__).parent


def test_in_production_a_point_is_an_empty_function() -> None:
    """It stands in the way of every report; it must not even look at the environment."""
    assert faults.reach is faults._pass
    assert faults._pass.__code__.co_names == ()


def test_every_point_is_reached_from_one_place() -> None:
    """A point that was renamed or left behind would be a test that tests nothing."""
    sources = [path.read_text() for path in PACKAGE.rglob("*.py")]
    reached = [point for text in sources for point in re.findall(r'faults\.reach\("(.+?)"\)', text)]

    assert sorted(reached) == sorted(faults.POINTS)


def test_a_fault_happens_once_at_its_turn(tmp_path: Path) -> None:
    """The process that takes a killed one's place must get past the point."""
    plan = faults._plan("runner.before_save=full@2", str(tmp_path))
    plan.reach("runner.before_save")

    with pytest.raises(OSError, match="No space left") as raised:
        plan.reach("runner.before_save")

    assert raised.value.errno == errno.ENOSPC
    plan.reach("runner.before_save")
    faults._plan("runner.before_save=full", str(tmp_path)).reach("runner.before_save")
    assert [path.name for path in tmp_path.iterdir()] == ["runner.before_save"]


def test_kill_ends_the_process_at_once(tmp_path: Path) -> None:
    """No finally, no atexit: as kill -9 from outside."""
    script = (
        "from opspawn_jupyter import faults\n"
        "try:\n    faults.reach('store.before_sync')\nfinally:\n    print('too late', flush=True)"
    )
    variables = {
        "OPSPAWN_FAULTS": "store.before_sync=kill",
        "OPSPAWN_FAULTS_DIRECTORY": str(tmp_path),
        "PYTHONPATH": str(PACKAGE.parent),
    }

    ended = subprocess.run(
        [sys.executable, "-c", script], env=variables, capture_output=True, check=False
    )

    assert (ended.returncode, ended.stdout) == (-9, b"")


def test_a_misspelt_point_is_refused(tmp_path: Path) -> None:
    """It would otherwise never happen, and the test would pass."""
    with pytest.raises(ValueError, match="no point"):
        faults._plan("server.befor_submit=kill", str(tmp_path))
