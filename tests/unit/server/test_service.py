"""The service: at once there, open as soon as it can be, honest until then."""

from __future__ import annotations

import asyncio

import pytest

from jupyter_process import PATIENCE_SECONDS
from opspawn_jupyter.errors import SettingInvalid, StoreUnavailable, Unavailable
from opspawn_jupyter.server.service import Service


class System:
    """A system that is open."""

    problem = None
    notice = None
    unfinished_count = 2
    worker_token = "secret"

    def __init__(self) -> None:
        self.is_closed = False

    async def close(self) -> None:
        self.is_closed = True


def service(answer: System | Exception) -> Service:
    """A service whose system answers so when it is opened."""

    async def open_system() -> System:
        if isinstance(answer, Exception):
            raise answer
        return answer

    return Service(open_system, dict)


def test_requests_wait_for_a_system_that_is_being_opened():
    """A page that loads with the server must not see an error."""

    async def scene() -> None:
        system = System()
        one = service(system)
        assert one.health().status == "degraded"
        one.start()

        assert await one.running() is system
        assert (one.health().status, one.unfinished_count()) == ("ok", 2)

        await one.stop()
        assert system.is_closed

    asyncio.run(scene())


def test_a_store_that_is_held_is_tried_again():
    """A server that is restarted meets the old one on its way out."""

    async def scene() -> None:
        system, may_open, is_open = System(), asyncio.Event(), asyncio.Event()
        waiting = [StoreUnavailable(hint="held")]

        async def open_system() -> System:
            if waiting:
                raise waiting.pop()
            await may_open.wait()
            is_open.set()
            return system

        one = Service(open_system, dict, retry_seconds=0.0)
        one.start()
        with pytest.raises(StoreUnavailable, match="held"):
            await one.running()

        may_open.set()
        await asyncio.wait_for(is_open.wait(), PATIENCE_SECONDS)

        assert await one.running() is system
        assert one.health().status == "ok"
        await one.stop()

    asyncio.run(scene())


def test_an_unexpected_failure_degrades_and_is_not_told_to_strangers():
    """Jupyter itself must start, whatever is wrong with us."""

    async def scene() -> None:
        one = service(RuntimeError("/home/me/secret"))
        one.start()

        with pytest.raises(StoreUnavailable) as caught:
            await one.running()

        assert "secret" not in caught.value.message
        await one.stop()

    asyncio.run(scene())


def test_a_bad_setting_is_named_and_nothing_is_taken():
    """The administrator corrects it and starts again."""

    async def scene() -> None:
        one = service(SettingInvalid("many", hint="OPSPAWN_SQL_MAX_ROWS"))
        one.start()

        with pytest.raises(Unavailable, match="OPSPAWN_SQL_MAX_ROWS"):
            await one.running()

        assert "OPSPAWN_SQL_MAX_ROWS" in (one.health().problem or "")
        await one.stop()

    asyncio.run(scene())


def test_a_stopping_server_takes_nothing():
    """What it accepted now could be lost."""

    async def scene() -> None:
        one = service(System())
        one.start()
        await one.running()
        await one.stop()

        with pytest.raises(StoreUnavailable, match="stopping"):
            await one.running()

    asyncio.run(scene())
