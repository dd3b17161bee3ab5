"""Kernelspecs that are read seldom."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from opspawn_jupyter.kinds import recent_specs
from opspawn_jupyter.kinds.recent_specs import RecentSpecs


class Kernels:
    """Those in a directory, and how often they were read."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.reads = 0

    def install(self, name: str, at: int) -> None:
        """At this time, as the file system has it."""
        home = self.directory / name
        home.mkdir(parents=True, exist_ok=True)
        (home / "kernel.json").write_text("{}")
        for path in (home / "kernel.json", self.directory):
            os.utime(path, ns=(at, at))

    def __call__(self) -> Mapping[str, Any]:
        self.reads += 1
        return {path.name: {"resource_dir": str(path)} for path in self.directory.glob("*")}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(recent_specs.time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def kernels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kernels:
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    return Kernels(tmp_path / "jupyter" / "kernels")


def test_it_is_known_how_long_they_take(clock: list[float]) -> None:
    """The event loop reads those of files; a manager that asks other programs it leaves to a
    thread, also the first time. What was read a moment ago it has at once."""
    seconds = [0.5]

    def read() -> Mapping[str, Any]:
        clock[0] += seconds[0]
        return {}

    specs = RecentSpecs(read)
    assert not specs.is_quick
    for took, stays_quick in ((0.5, False), (0.001, True), (0.5, False)):
        seconds[0] = took
        specs()
        assert specs.is_quick
        clock[0] += 60
        assert specs.is_quick is stays_quick


def test_they_are_read_once_for_many(kernels: Kernels, clock: list[float]) -> None:
    """To read them takes longer than to check a notebook."""
    kernels.install("python3", 1)
    specs = RecentSpecs(kernels)

    for _ in range(5):
        clock[0] += 1
        assert list(specs()) == ["python3"]

    assert kernels.reads == 1


def test_the_first_kernel_of_a_directory_is_found(kernels: Kernels, clock: list[float]) -> None:
    """Without a restart."""
    specs = RecentSpecs(kernels)
    assert list(specs()) == []

    kernels.install("new", 1)
    clock[0] += 1

    assert list(specs()) == ["new"]


def test_a_kernel_that_is_added_or_changed_is_read(kernels: Kernels, clock: list[float]) -> None:
    kernels.install("python3", 1)
    specs = RecentSpecs(kernels)
    specs()

    kernels.install("new", 2)
    clock[0] += 1
    assert sorted(specs()) == ["new", "python3"]
    os.utime(kernels.directory / "new" / "kernel.json", ns=(3, 3))
    clock[0] += 1
    specs()

    assert kernels.reads == 3


def test_what_other_managers_find_elsewhere_is_found_in_the_end(clock: list[float]) -> None:
    """They may look into environments that Jupyter does not know."""
    found: dict[str, Any] = {"python3": {}}
    specs = RecentSpecs(lambda: dict(found))
    specs()

    found["conda"] = {}
    clock[0] += 60

    assert sorted(specs()) == ["conda", "python3"]
