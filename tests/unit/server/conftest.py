"""What several of the server's tests stand on."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from jupyter_process import PATIENCE_SECONDS
from tests.unit.server.workflow_world import World, world

Story = Callable[[World], Awaitable[None]]


@pytest.fixture
def play(tmp_path: Path) -> Callable[..., None]:
    """Tell a story in a world; again in what the last one left."""

    def run(story: Story, ran: Counter[str] | None = None) -> None:
        async def main() -> None:
            async with asyncio.timeout(PATIENCE_SECONDS), world(tmp_path, ran) as one:
                await story(one)

        asyncio.run(main())

    return run
