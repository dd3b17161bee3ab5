"""Worlds to break."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.chaos import ledger
from tests.chaos.world import World


@pytest.fixture(autouse=True)
def _put_down(request: pytest.FixtureRequest) -> Iterator[None]:
    """What the test puts down travels with its report: it may run in another process than the one
    that prints the table."""
    yield
    request.node.user_properties += ledger.taken()


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Collect what the tests put down."""
    if report.when == "teardown":
        for name, counts in report.user_properties:
            if name.startswith(ledger.PROPERTY):
                ledger.add(name.removeprefix(ledger.PROPERTY), counts)


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
