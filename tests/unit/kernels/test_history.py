"""A history in memory reads as IPython's, although its database is made late."""

from __future__ import annotations

import subprocess
import sys

import pytest

#: A shell with one of the two, in a process of its own: there can be one only.
MAKE = """
from IPython.core import history, interactiveshell
from opspawn_jupyter.kernels.forking import history as late
shell = interactiveshell.InteractiveShell.instance()
kind = {kind}
shell.history_manager.close()
shell.history_manager = manager = kind(shell=shell, parent=shell, hist_file=":memory:")
print(manager.session_number)
shell.run_cell("a = 1", store_history=True)
shell.run_cell("b = 2", store_history=True)
"""
READ = """
print(list(manager.get_tail(5, include_latest=True)))
print(list(manager.search("*2*")))
print(manager.get_session_info(1)[0], manager.get_last_session_id())
shell.run_line_magic("history", "-g a")
"""
RESET = """
shell.reset()
shell.run_cell("c = 3", store_history=True)
print(manager.session_number, list(manager.get_range(1)), manager.get_session_info(1)[3])
"""
END = "manager.is_over = True; manager.end_session(); manager.close()\n"


def told(kind: str, *steps: str) -> str:
    code = MAKE.replace("{kind}", kind) + "".join(steps)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=100
    )
    return done.stdout


@pytest.mark.parametrize("steps", [(READ, RESET, READ, END), (RESET, READ, END)])
def test_it_reads_as_that_of_ipython(steps, monkeypatch, tmp_path):
    """Whenever it is asked first."""
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))

    assert told("late.HistoryManager", *steps) == told("history.HistoryManager", *steps)


def test_what_nobody_reads_is_not_made(monkeypatch, tmp_path):
    """To make a database copies a quarter of the memory that a kernel needs to come up."""
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    ask = "print(manager.is_made)\n"

    assert told("late.HistoryManager", ask, END, ask) == "1\nFalse\nFalse\n"
