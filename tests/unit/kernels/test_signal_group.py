"""Whom a signal to a kernel reaches."""

import signal
import subprocess

from jupyter_process import PATIENCE_SECONDS
from opspawn_jupyter.kernels.forking.client import signal_group


def test_a_fork_that_has_no_group_of_its_own_yet_is_reached():
    """Its client may be gone before it has taken its first steps, and it is to end then, too."""
    with subprocess.Popen(["sleep", "600"]) as young:
        signal_group(young.pid, signal.SIGKILL)
        assert young.wait(PATIENCE_SECONDS) == -signal.SIGKILL


def test_what_a_kernel_has_started_is_reached_as_well():
    """It is in the kernel's group."""
    command = ["sh", "-c", "sleep 600 & echo $!; wait"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as kernel:
        assert kernel.stdout is not None
        kernel.stdout.readline()
        signal_group(kernel.pid, signal.SIGKILL)
        assert kernel.stdout.read() == b""  # nobody is left who could write
