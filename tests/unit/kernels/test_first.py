"""A fork of the fork server begins with its own memory."""

from __future__ import annotations

import subprocess
import sys

_SCRIPT = """
import os, sys
from opspawn_jupyter.kernels.forking import first
os.register_at_fork(after_in_child=lambda: os.write(1, b"then "))
if first.fork(lambda: os.write(1, b"first ")) == 0:
    if os.fork() == 0:
        os._exit(0)
    os.wait()
    os._exit(0)
os.wait()
if first.fork(None) == 0:
    os._exit(0)
os.wait()
"""

_FAILS = """
import os
from opspawn_jupyter.kernels.forking import first
if first.fork(lambda: 1 / 0) == 0:
    os._exit(7)
print(os.waitstatus_to_exitcode(os.wait()[1]))
"""


def test_it_comes_before_what_modules_do_at_a_fork() -> None:
    """They write to much of the memory that is copied; and it holds for the one fork only, not
    for what that forks, nor for the next."""
    told = subprocess.run([sys.executable, "-c", _SCRIPT], check=True, capture_output=True)

    assert told.stdout.split() == [b"first", b"then", b"then", b"then"]


def test_a_beginning_that_fails_does_not_end_the_fork() -> None:
    """Memory that cannot be copied at once is copied page by page."""
    told = subprocess.run([sys.executable, "-c", _FAILS], check=True, capture_output=True)

    assert told.stdout.split() == [b"7"]
    assert b"ZeroDivisionError" in told.stderr
