"""Directories of sockets, and their end."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from opspawn_jupyter.runners import sockets


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(sockets, "_ahead", None)  # other tests have some made, too
    return tmp_path


def test_a_directory_is_private_and_can_be_forgotten(temporary: Path) -> None:
    """The connection file in it holds the key to the kernel."""
    directory = sockets.private_directory()
    assert directory.parent == temporary
    assert directory.stat().st_mode & 0o077 == 0

    sockets.forget(os.getpid())

    assert not directory.exists()


def test_one_that_was_made_ahead_is_used_once(temporary: Path) -> None:
    """And what nobody has used goes with the process."""
    sockets.make_ahead()
    sockets.make_ahead()
    (ahead,) = temporary.iterdir()

    assert sockets.private_directory() == ahead
    assert sockets.private_directory() != ahead

    sockets.make_ahead()
    sockets.forget_ahead()
    assert len(list(temporary.iterdir())) == 2


def test_one_that_was_removed_meanwhile_is_made_anew(temporary: Path) -> None:
    """Systems clear their temporary directories."""
    sockets.make_ahead()
    (ahead,) = temporary.iterdir()
    ahead.rmdir()

    assert sockets.private_directory().is_dir()


def test_one_that_somebody_has_put_in_its_place_is_not_used(temporary: Path) -> None:
    """The connection file in it holds the key to the kernel."""
    sockets.make_ahead()
    (ahead,) = temporary.iterdir()
    ahead.rename(temporary / "elsewhere")
    ahead.symlink_to(temporary / "elsewhere")

    assert sockets.private_directory() != ahead


def test_only_what_dead_processes_left_is_swept(temporary: Path) -> None:
    """Another worker's kernels may be at work."""
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    left = temporary / f"opspawn-{dead.pid}-abc"
    strange = temporary / "opspawn-notes"
    left.mkdir()
    strange.mkdir()
    mine = sockets.private_directory()

    sockets.sweep()

    assert not left.exists()
    assert mine.exists()
    assert strange.exists()
