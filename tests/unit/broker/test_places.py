"""So many calls at once, some that wait, no others."""

from __future__ import annotations

import asyncio

import pytest

from opspawn_jupyter.broker.config import Rules, ServerConfig
from opspawn_jupyter.broker.places import Places
from opspawn_jupyter.errors import ToolLimitReached


def _places() -> Places:
    return Places(ServerConfig(name="slow", rules=Rules(max_concurrency=1)))


def test_whoever_finds_no_place_waits_for_one() -> None:
    """Calls come in the order in which they were made."""
    done: list[str] = []

    async def play() -> None:
        places, end = _places(), asyncio.Event()

        async def call(name: str) -> None:
            async with places.hold():
                await end.wait()
                done.append(name)

        calls = [asyncio.create_task(call(name)) for name in ("first", "second")]
        await asyncio.sleep(0)
        assert places.unused_seconds == 0
        end.set()
        await asyncio.gather(*calls)

    asyncio.run(play())
    assert done == ["first", "second"]


def test_a_crowd_is_refused_and_a_caller_who_gives_up_makes_room() -> None:
    """A server that hangs must not gather callers without end."""

    async def play() -> None:
        places = _places()
        async with places.hold():
            waiting = [asyncio.create_task(_held(places)) for _ in range(32)]
            await asyncio.sleep(0)
            with pytest.raises(ToolLimitReached, match="too many calls wait"):
                await _held(places)
            waiting.pop().cancel()
            await asyncio.sleep(0)
            waiting.append(asyncio.create_task(_held(places)))
            await asyncio.sleep(0)
        await asyncio.gather(*waiting)

    asyncio.run(play())


async def _held(places: Places) -> None:
    async with places.hold():
        pass
