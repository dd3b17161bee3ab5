"""Tests of the cells that a fork server runs before it forks."""

import json
import subprocess
import sys

import pytest

SCRIPT = """
import asyncio, json, os, sys, threading
from opspawn_jupyter.kernels.forking import history, kernel, practice, safety
from opspawn_jupyter.kernels.forking.app import instance

streams = sys.stdout, sys.stderr
kernel.make_early([history.ARGUMENT])
shell = instance().shell
files = sorted(os.listdir("/proc/self/fd"))
names = dict(shell.user_ns)
practice.practise([history.ARGUMENT])
told = {
    "names": shell.user_ns == names,
    "count": shell.execution_count,
    "history": shell.history_manager.input_hist_raw,
    "files": sorted(os.listdir("/proc/self/fd")) == files,
    "threads": len(threading.enumerate()),
    "streams": (sys.stdout, sys.stderr) == streams,
    "hazard": safety.hazard() or safety.tied_object(),
}
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def told():
    """What is left of it."""
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT], check=True, capture_output=True, text=True, timeout=120
    )
    return json.loads(ran.stdout)


def test_nothing_of_it_is_left_to_a_kernel(told):
    """A notebook begins with its first cell."""
    assert told["names"]
    assert (told["count"], told["history"]) == (1, [""])


def test_nothing_of_it_is_in_the_way_of_a_fork(told):
    """A loop, a thread or an open file would be shared by all kernels."""
    assert told["files"]
    assert told["threads"] == 1
    assert told["hazard"] is None
    assert told["streams"]
