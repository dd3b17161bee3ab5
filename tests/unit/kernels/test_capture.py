"""What a kernel without sockets prints is told soon, whoever prints it."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import os, queue, sys, threading
from opspawn_jupyter.kernels.forking.capture import Capture
said, sent = queue.Queue(), threading.Event()
capture = Capture(lambda *told: said.put(told), sent.set)
capture.install()
capture.start()
def told(part):
    text = ""
    while part not in text:
        text += said.get(timeout=60)[1]
print("by nobody's flush")
told("by nobody's flush")
assert sent.wait(60)
os.write(1, b"at the descriptor\\n")
told("at the descriptor")
print("at once", flush=True)
told("at once")
print("at the end", file=sys.stderr)
capture.drain()
assert said.get_nowait() == ("stderr", "at the end\\n")
"""


def test_what_is_printed_is_told_without_a_flush() -> None:
    """A cell that computes for an hour is watched meanwhile."""
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT], check=False, capture_output=True, text=True, timeout=120
    )

    assert ran.returncode == 0, ran.stderr
