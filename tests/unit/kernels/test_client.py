"""When a client may say that it is ready. The kernel's channels are played by queues."""

from __future__ import annotations

import asyncio
import itertools
from queue import Empty
from typing import Any

import pytest

from jupyter_process import PATIENCE_SECONDS
from opspawn_jupyter.kernels.client import SwiftKernelClient


class Channel:
    """Gives what was put into it, and is silent afterwards, however long one waits."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []

    async def get_msg(self, **_: float) -> dict[str, Any]:
        if not self.messages:
            raise Empty
        return self.messages.pop(0)


def message(type: str, parent: str = "", **content: str) -> dict[str, Any]:
    return {"msg_type": type, "parent_header": {"msg_id": parent}, "content": content}


class PlayedClient(SwiftKernelClient):
    """A client whose kernel answers every question, on iopub too once it is subscribed."""

    shell_channel = Channel()
    iopub_channel = Channel()

    def play(self, *, subscribed_at: int, alive: bool = True) -> PlayedClient:
        self.shell_channel, self.iopub_channel = Channel(), Channel()
        self.numbers = itertools.count(1)
        self.subscribed_at, self.alive = subscribed_at, alive
        return self

    def kernel_info(self) -> str:
        number = next(self.numbers)
        if self.alive:
            self.shell_channel.messages.append(message("kernel_info_reply", f"q{number}"))
        if number >= self.subscribed_at:
            for state in ("busy", "idle"):
                status = message("status", f"q{number}", execution_state=state)
                self.iopub_channel.messages.append(status)
        return f"q{number}"

    def _handle_kernel_info_reply(self, reply: dict[str, Any]) -> None:
        pass

    async def is_alive(self) -> bool:
        return self.alive


def test_after_a_welcome_one_question_is_enough():
    client = PlayedClient().play(subscribed_at=1)
    client.iopub_channel.messages.append(message("iopub_welcome"))

    asyncio.run(client.wait_for_ready(timeout=PATIENCE_SECONDS))

    assert next(client.numbers) == 2
    assert client.iopub_channel.messages == []
    assert client.shell_channel.messages == []


@pytest.mark.parametrize("subscribed_at", [1, 3])
def test_without_a_welcome_the_client_asks_until_it_is_heard(subscribed_at):
    """Older kernels and other languages send none; output of the first cell would be lost."""
    client = PlayedClient().play(subscribed_at=subscribed_at)

    asyncio.run(client.wait_for_ready(timeout=PATIENCE_SECONDS))

    assert next(client.numbers) == subscribed_at + 2
    assert client.iopub_channel.messages == []


def test_a_kernel_that_died_is_reported():
    client = PlayedClient().play(subscribed_at=1, alive=False)

    with pytest.raises(RuntimeError, match="died"):
        asyncio.run(client.wait_for_ready(timeout=PATIENCE_SECONDS))
