"""Cullers: a server at work is left alone, an idle one is not kept alive by us."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyter_process import make_home

#: Jupyter looks once a minute, from its start on: here often, from the moment that the test says,
#: since a slow machine may not answer its first request in the time that counts as idle.
LOOK_OFTEN = """
from pathlib import Path
from tornado import ioloop
from jupyter_server.serverapp import ServerApp

def look_often(self):
    def look():
        if Path(self.root_dir, "look").exists():
            self.shutdown_no_activity()
    self.look_often = ioloop.PeriodicCallback(look, 200)
    self.look_often.start()

ServerApp.init_shutdown_no_activity = look_often
c.ServerApp.shutdown_no_activity_timeout = 3
"""

SLEEPER = {
    "nbformat": 4,
    "nbformat_minor": 5,
    "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3"}},
    "cells": [
        {
            "cell_type": "code",
            "id": "a",
            "metadata": {},
            "source": "import time; time.sleep(7)",
            "outputs": [],
            "execution_count": None,
        }
    ],
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An empty directory for a server to serve."""
    directory = tmp_path / "root"
    directory.mkdir()
    return directory


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A home whose servers look often whether they are idle."""
    directory = tmp_path / "home"
    make_home(directory)
    (directory / "config" / "jupyter_server_config.py").write_text(LOOK_OFTEN)
    return directory


@pytest.mark.slow
def test_a_task_keeps_the_server_and_its_end_lets_it_go(running, tmp_path, home, root):
    """Runs take hours, nobody is at the keyboard; afterwards the machine is to be freed."""
    with running(root, home) as one:
        one.json("POST", "tasks", body={"spec": {"content": SLEEPER}})
        (root / "look").touch()

        # The worker goes on asking for work all the time.
        one.wait("the shutdown", one.jupyter.process.poll, lambda code: code is not None)
        told = one.jupyter.log
        assert told.index("event=task.succeeded") < told.index("shutting down")


@pytest.mark.slow
def test_last_activity_moves_with_a_task_and_stands_still_without(running, tmp_path, root):
    """JupyterHub's culler reads it, and nothing of ours may move it while nothing runs."""
    with running(root, tmp_path / "home") as one:

        def last_activity() -> str:
            return str(one.jupyter.call("GET", "api/status")["last_activity"])

        one.json("POST", "tasks", body={"spec": {"content": SLEEPER}})
        submitted = last_activity()
        one.wait("a move", last_activity, lambda moment: moment > submitted)
        # Only the log tells of the end without being asked.
        one.wait("the end", lambda: "event=task.succeeded" in one.jupyter.log, bool)
        last = _settled(last_activity)

        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            one.json("GET", "health")
            one.json("GET", "diagnosis")
            assert last_activity() == last


def _settled(look) -> str:
    """What it gives once it has not changed for three seconds: the beat is two."""
    last, since = look(), time.monotonic()
    while time.monotonic() - since < 3:
        if (now := look()) != last:
            last, since = now, time.monotonic()
        time.sleep(0.1)
    return last
