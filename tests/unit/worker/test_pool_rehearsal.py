"""What is done once for all processes of the pool."""

from __future__ import annotations

import os
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from opspawn_jupyter.model.states import State
from opspawn_jupyter.runners import preload  # noqa: F401  it comes first in the fork server, too
from opspawn_jupyter.worker import pool_rehearsal


def test_the_rehearsed_steps_succeed() -> None:
    """One that breaks off early has touched little of what a step touches."""
    assert {step.state for step in pool_rehearsal.rehearse()} == {State.SUCCESS}


def test_a_rehearsal_leaves_the_process_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every process of the pool is forked from it, and so are runners; with a thread none could
    be."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("OPSPAWN_TASK_ID", "mine")
    before = dict(os.environ), Path.cwd(), list(sys.path), threading.active_count()

    pool_rehearsal.rehearse()

    assert (dict(os.environ), Path.cwd(), list(sys.path), threading.active_count()) == before
    assert list(tmp_path.iterdir()) == []
