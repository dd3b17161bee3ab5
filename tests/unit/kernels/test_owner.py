"""What the owner of a kernel asks on its line is carried out in order, while it is there."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from opspawn_jupyter.kernels.forking import owner
from opspawn_jupyter.kernels.forking.line import AHEAD, RELEASE, SHELL, pack
from opspawn_jupyter.kernels.forking.told import Told
from opspawn_jupyter.runners.messages import Messages

pytestmark = pytest.mark.skipif(not owner.is_possible(), reason="ipykernel 6 has no owners")
_PATIENCE_SECONDS = 60


class Kernel:
    """Notes what it is asked, and does what the test wants meanwhile."""

    def __init__(self, meanwhile: Callable[[str], None]) -> None:
        self.asked: list[str] = []
        self._meanwhile = meanwhile

    def passes_over(self, _told: Told) -> bool:
        """Nothing."""
        return False

    async def shell_main(self, _subshell: None, told: Told) -> None:
        """As ipykernel's."""
        self.asked.append(told[-1].decode())
        self._meanwhile(self.asked[-1])


def cell(code: str, channel: bytes = AHEAD) -> bytes:
    """A request to run it."""
    _, parts = Messages(b"").request("execute_request", {"code": code})
    return b"".join(pack(channel, [*parts[:-1], code.encode()]))


def farewell() -> bytes:
    """The wish that the kernel ends, once it has done what was asked."""
    _, parts = Messages(b"").request("shutdown_request", {"restart": False})
    return b"".join(pack(AHEAD, parts))


def served(client: socket.socket, line: socket.socket, meanwhile: Callable[[str], None]) -> Any:
    """The application, whose kernel has done what was asked until it was to end or released."""

    async def serve() -> Any:
        app: Any = SimpleNamespace(kernel=Kernel(meanwhile), ends=[])

        async def shut_down() -> None:
            app.ends.append("shut down")

        app.shut_down = shut_down
        app.be_released = lambda: app.ends.append("released")
        end = owner.Owner(app, line.detach())
        async with asyncio.timeout(_PATIENCE_SECONDS):
            await end.serve()
        end.line.close()
        return app

    with client:
        return asyncio.run(serve())


def test_what_is_asked_is_done_in_order_and_then_the_kernel_ends() -> None:
    """All of it may come at once."""
    client, line = socket.socketpair()
    client.sendall(cell("1", SHELL) + cell("2") + cell("3") + farewell() + cell("never"))

    app = served(client, line, lambda _: None)

    assert app.kernel.asked == ["1", "2", "3"]
    assert app.ends == ["shut down"]


def test_nothing_begins_once_the_owner_has_left_whatever_it_had_sent_by_then() -> None:
    """That it has left is the last that comes, and may stand behind more than one reading gives."""
    client, line = socket.socketpair()
    client.sendall(cell("1", SHELL) + cell("2"))

    def leave(_code: str) -> None:
        client.sendall(cell("3") + farewell())
        client.shutdown(socket.SHUT_WR)

    app = served(client, line, leave)

    assert app.kernel.asked == ["1"]
    assert app.ends == ["shut down"]


def test_a_kernel_that_is_released_stays() -> None:
    """Of a failed run it may be kept for people to look into."""
    client, line = socket.socketpair()
    client.sendall(cell("1", SHELL))

    def release(_code: str) -> None:
        client.sendall(b"".join(pack(RELEASE, [])))
        client.close()

    app = served(client, line, release)

    assert app.kernel.asked == ["1"]
    assert app.ends == ["released"]
