"""Worlds to break."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.chaos import ledger
from tests.chaos.world import World


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What was broken, and what came of it."""
    for line in ledger.table():
        terminalreporter.write_line(line)


MakeWorld = Callable[..., World]


@pytest.fixture
def make_world(tmp_path: Path) -> Iterator[MakeWorld]:
    """Makes installations, and leaves no process of them behind."""
    worlds: list[World] = []

    def make(**given: Any) -> World:
        place = tmp_path / str(len(worlds))
        (place / "root").mkdir(parents=True)
        worlds.append(World(place / "root", place / "home", **given))
        return worlds[-1]

    yield make
    for world in worlds:
        print(world.log)  # pytest shows it where the test failed
        world.kill_everything()
