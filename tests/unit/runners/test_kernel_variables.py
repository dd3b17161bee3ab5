"""What environment variables the kernel of a task gets."""

from __future__ import annotations

from pathlib import Path

from opspawn_jupyter.runners.kernel_variables import kernel_environment


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
