"""Scenarios, played against real parts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jupyter_process import PATIENCE_SECONDS
from tests.unit.orchestrator.stage import Scenario, orchestration


@pytest.fixture
def play(tmp_path: Path) -> Callable[..., None]:
    """Run a scenario against a fresh orchestration; again against what the last one left."""

    def run(scenario: Scenario, **settings: Any) -> None:
        async def main() -> None:
            async with orchestration(tmp_path, **settings) as o:
                await asyncio.wait_for(scenario(o), PATIENCE_SECONDS)

        asyncio.run(main())

    return run
