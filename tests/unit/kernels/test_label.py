"""What ``ps`` and whoever looks for a run's processes see of a fork."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from opspawn_jupyter.kernels.forking import label

MARK = "OPSPAWN_TEST_MARK"
SCRIPT = f"""
import os, pathlib, sys
sys.path.insert(0, {str(Path(label.__file__).parent)!r})
import label
os.environ[{MARK!r}] = "task-7"
label.write(["a-kernel", "-f", "x" * 5000], {MARK!r}, label.place())
sys.stdout.buffer.write(pathlib.Path("/proc/self/cmdline").read_bytes() + b"<end>")
sys.stdout.buffer.write(pathlib.Path("/proc/self/environ").read_bytes())
"""


def test_a_process_shows_its_mark_and_its_command():
    """A fork has the environment of its parent's start, by which nobody could tell whose it is."""
    environment = {**os.environ, MARK: label.BLANK, "LAST": "as it was"}
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=environment, capture_output=True, check=True
    )

    command, _, shown = ran.stdout.partition(b"<end>")
    assert command.startswith(b"a-kernel\0-f\0xxx")
    variables = [line.rstrip(b"\0") for line in shown.split(b"\0") if line]
    assert f"{MARK}=task-7".encode() in variables
    assert b"LAST=as it was" in variables  # nothing beside it was written over
