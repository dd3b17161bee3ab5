"""The way to the server."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from opspawn_jupyter.model.work import TakeAnswer
from opspawn_jupyter.worker.link import Link


def test_a_call_without_a_server_waits_for_one(tmp_path: Path) -> None:
    """Nothing is thrown away because a server is slow to start; the loss is measured."""
    link = Link(tmp_path, "w")

    async def call() -> bool:
        try:
            async with asyncio.timeout(0.3):
                await link.call("take", '{"free_slots":1}', TakeAnswer, 1.0)
        except TimeoutError:
            return True
        return False

    assert link.lost_seconds == 0.0
    began_at = time.monotonic()
    assert asyncio.run(call())
    assert 0.0 < link.lost_seconds <= time.monotonic() - began_at
