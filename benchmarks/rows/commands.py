"""Whole commands, and what loading the magics costs a kernel."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from benchmarks import notebooks, servers
from benchmarks.measure import Goal, Row, Size, Way

_LOAD = """
import ipykernel.kernelapp, time
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
began = time.perf_counter()
shell.run_line_magic("load_ext", "opspawn_jupyter")
print(time.perf_counter() - began)
"""


@contextmanager
def _commands(_size: Size) -> Iterator[Mapping[str, Way]]:
    program = str(Path(sys.executable).with_name("opspawn"))
    with servers.ours() as own:
        environment = {
            **os.environ,
            "OPSPAWN_URL": own.process.url,
            "OPSPAWN_TOKEN": own.process.token,
        }
        notebooks.write(own.root, "three", notebooks.THREE)
        task = own.run(own.submit("three.ipynb", {})).id
        yield {
            "opspawn --version": partial(_command, [program, "--version"], environment),
            "opspawn status": partial(_command, [program, "status", task], environment),
            "opspawn tasks": partial(_command, [program, "tasks"], environment),
            "python -c pass": partial(_command, [sys.executable, "-c", "pass"], environment),
        }


def _command(words: Sequence[str], environment: Mapping[str, str]) -> float:
    began = time.perf_counter()
    subprocess.run(words, check=True, capture_output=True, env=environment)
    return time.perf_counter() - began


@contextmanager
def _load_ext(_size: Size) -> Iterator[Mapping[str, Way]]:
    yield {"%load_ext": _load}


def _load() -> float:
    ran = subprocess.run([sys.executable, "-c", _LOAD], check=True, capture_output=True, text=True)
    return float(ran.stdout.splitlines()[-1])


ROWS = (
    Row(
        name="commands",
        what="a whole process of ours, and Python's that does nothing",
        unit="s",
        ways=_commands,
        goals=(
            Goal(ours="opspawn --version", other="python -c pass", at_most=4),
            Goal(ours="opspawn status", other="python -c pass", at_most=4),
            Goal(ours="opspawn tasks", other="python -c pass", at_most=4),
        ),
        rounds=15,
    ),
    Row(
        name="load-ext",
        what="%load_ext opspawn_jupyter where ipykernel is loaded (goal: 0.05 s)",
        unit="s",
        ways=_load_ext,
        rounds=9,
    ),
)
