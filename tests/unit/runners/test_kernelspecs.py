"""Kernelspecs, which may change while a runner waits for its next task."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from jupyter_client.kernelspec import NoSuchKernel

from opspawn_jupyter.runners import kernelspecs


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a kernelspec can be put."""
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    return tmp_path / "kernels"


def put(place: Path, name: str, display_name: str, at: int) -> None:
    """A kernelspec as it was written at this second."""
    spec = {"argv": ["true"], "display_name": display_name, "language": "none"}
    file = place / name / "kernel.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(spec))
    os.utime(file, (at, at))


def test_a_kernelspec_is_read_again_where_it_has_changed(place: Path) -> None:
    """A task runs in the kernel that is installed when it runs."""
    with pytest.raises(NoSuchKernel):
        kernelspecs.find("changing")
    put(place, "changing", "first", at=1)
    first = kernelspecs.find("changing")
    assert (first.display_name, kernelspecs.find("changing")) == ("first", first)
    put(place, "changing", "second", at=2)
    assert kernelspecs.find("changing").display_name == "second"


def test_the_environment_says_where_they_lie(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same name is another kernel elsewhere."""
    put(place, "placed", "here", at=1)
    assert kernelspecs.find("placed").display_name == "here"
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "elsewhere"))
    with pytest.raises(NoSuchKernel):
        kernelspecs.find("placed")
