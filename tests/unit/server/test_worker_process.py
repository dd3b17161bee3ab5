"""Worker processes: found again, told apart, given no secrets."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from jupyter_process import PATIENCE_SECONDS
from opspawn_jupyter.server.worker_process import (
    WorkerProcess,
    living_workers,
    worker_environment,
)


@pytest.fixture
def child():
    """A process that stays."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def record(state: Path, name: str, content: str) -> Path:
    (state / "workers").mkdir(exist_ok=True)
    path = state / "workers" / f"{name}.json"
    path.write_text(content)
    return path


def test_a_living_worker_is_found(tmp_path, child):
    """It may hold a night's run."""
    created = psutil.Process(child.pid).create_time()
    record(tmp_path, "local-1", json.dumps({"pid": child.pid, "created": created}))

    (worker,) = living_workers(tmp_path)

    assert (worker.worker_id, worker.pid, worker.is_alive()) == ("local-1", child.pid, True)


@pytest.mark.parametrize(
    "content", ["{", "[]", "{}", '{"pid": 0, "created": 0}', '{"pid": 4194999, "created": 1.0}']
)
def test_traces_of_dead_workers_are_removed(tmp_path, content):
    """A power cut leaves them, whole or in parts."""
    path = record(tmp_path, "local-1", content)

    assert living_workers(tmp_path) == ()
    assert not path.exists()


def test_another_process_with_the_same_number_is_no_worker(tmp_path):
    """Process ids are used again; a stranger must not be ended in the worker's place."""
    record(tmp_path, "local-1", json.dumps({"pid": os.getpid(), "created": 1.0}))

    assert living_workers(tmp_path) == ()


def test_without_traces_there_are_no_workers(tmp_path):
    """The first start of all."""
    assert living_workers(tmp_path) == ()


def test_a_worker_that_does_not_obey_is_killed(child):
    """A stopped server leaves nothing running."""
    worker = WorkerProcess("local-1", psutil.Process(child.pid))
    child.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, child.pid, os.WSTOPPED)  # from here on it cannot hear SIGTERM

    asyncio.run(worker.end(0.2))

    assert child.wait(PATIENCE_SECONDS) == -signal.SIGKILL
    assert not worker.is_alive()


def test_user_code_gets_no_token():
    """What a notebook prints of its environment is stored and shown."""
    given = {
        "PATH": "/bin",
        "JUPYTER_TOKEN": "x",
        "JUPYTERHUB_API_TOKEN": "x",
        "JPY_API_TOKEN": "x",
        "OPSPAWN_TOKEN": "x",
        "OPSPAWN_URL": "x",
        "OPSPAWN_MAX_RUNNING_TASKS": "2",
    }

    assert worker_environment(given) == {"PATH": "/bin", "OPSPAWN_MAX_RUNNING_TASKS": "2"}
