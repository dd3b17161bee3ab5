"""What a kernel is given, without starting one."""

from __future__ import annotations

from pathlib import Path

import pytest

from opspawn_jupyter.runners.kernel import death, kernel_environment


def test_a_kernel_gets_the_servers_environment_less_its_tokens() -> None:
    """User code must see the user's settings, and none of our doors."""
    base = {
        "HOME": "/home/ada",
        "OPSPAWN_TOKEN": "s",
        "OPSPAWN_URL": "s",
        "JUPYTER_TOKEN": "s",
        "JUPYTERHUB_API_TOKEN": "s",
        "JPY_API_TOKEN": "s",
        "AWS_PROFILE": "research",
    }

    made = kernel_environment(base, task_id="t", run_directory=Path("/runs/t"))

    assert made == {
        "HOME": "/home/ada",
        "AWS_PROFILE": "research",
        "OPSPAWN_TASK_ID": "t",
        "OPSPAWN_RUN_DIRECTORY": "/runs/t",
    }


@pytest.mark.parametrize(
    ("code", "words"), [(-9, "SIGKILL; where"), (-11, "killed by SIGSEGV."), (3, "with code 3.")]
)
def test_a_death_is_named(code: int, words: str) -> None:
    """A signal says more than minus nine."""
    assert words in str(death(code))
