"""What must not exist before a fork is found. Asked in a fresh process: ours has it all."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ASK = "import gc\nfrom opspawn_jupyter.kernels.forking import safety\n"
THREAD = "threading.Thread(target=time.sleep, args=(9,), daemon=True).start()"
#: A thread without a name has its process's, of which Linux keeps so much.
NAME = Path(sys.executable).name[:15]
TELL = "\nprint(safety.hazard() or safety.tied_object())"


def told(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", ASK + code + TELL],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


@pytest.mark.parametrize("module", ["numpy", "pandas", "matplotlib.pyplot"])
def test_the_usual_preloads_are_no_hazard(module):
    """OpenBLAS and jemalloc start threads at their import, and look after them at a fork."""
    assert told(f"import {module}\nsafety.retire_threads()") == "None"


@pytest.mark.parametrize(
    ("code", "hazard"),
    [
        ("", "None"),
        ("import ipykernel.kernelapp, zmq, asyncio, sqlite3", "None"),
        (f"import threading, time\n{THREAD}", f"threads run: {NAME}"),
        ("import asyncio\nloop = asyncio.new_event_loop()", "an event loop is open"),
        ("import zmq\ncontext = zmq.Context()", "Context"),
        ("import sqlite3\nconnection = sqlite3.connect(':memory:')", "Connection"),
    ],
)
def test_a_hazard_is_named(code, hazard):
    assert told(code) == hazard
