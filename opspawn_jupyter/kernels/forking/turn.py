"""The time that tasks of the user's get between two cells."""

from __future__ import annotations

import asyncio

#: While a client sends the next cell they would have it.
_SECONDS = 0.001


async def let_others_run(own: int) -> None:
    """Give them their turn, if there are more tasks than one's own."""
    await asyncio.sleep(_SECONDS if len(asyncio.all_tasks()) > own else 0)
