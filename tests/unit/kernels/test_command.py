"""Which kernel commands a fork can stand in for."""

from __future__ import annotations

import pytest

from opspawn_jupyter.kernels.command import parse

ORDINARY = ["/env/bin/python", "-m", "ipykernel_launcher", "-f", "/run/kernel.json"]


def test_the_ordinary_command_is_read():
    command = parse(ORDINARY)

    assert command is not None
    assert command.interpreter == "/env/bin/python"
    assert command.flags == ()
    assert command.arguments == ("-f", "/run/kernel.json")


def test_flags_of_the_interpreter_and_arguments_of_the_kernel_are_kept():
    """Newer kernelspecs turn frozen modules off; nbclient keeps the history in memory."""
    history = "--HistoryManager.hist_file=:memory:"

    command = parse([ORDINARY[0], "-Xfrozen_modules=off", *ORDINARY[1:], history])

    assert command is not None
    assert command.flags == ("-Xfrozen_modules=off",)
    assert command.extra == (history,)


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["/env/bin/python"],
        ["R", "--slave", "-e", "IRkernel::main()", "--args", "/run/kernel.json"],
        ["/env/bin/python", "-m", "bash_kernel", "-f", "/run/kernel.json"],
        ["conda", "run", "python", *ORDINARY[1:]],
        ["/env/bin/python", "-c", "pass", *ORDINARY[1:]],
        ["/env/bin/python", "-I", *ORDINARY[1:]],
        ["/env/bin/python", "-X", "dev", *ORDINARY[1:]],
        ["/env/bin/python", "-m", "ipykernel_launcher", "--debug", "-f", "/run/kernel.json"],
    ],
)
def test_every_other_command_is_left_alone(words):
    """What is not understood for certain is started as it says."""
    assert parse(words) is None
