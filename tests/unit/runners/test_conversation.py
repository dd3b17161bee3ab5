"""What a run says to its kernel and hears from it, over a line of which the test holds the end."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Sequence

import pytest
from nbclient.exceptions import DeadKernelError

from opspawn_jupyter.kernels.arrival import Part
from opspawn_jupyter.kernels.forking.line import IOPUB, SHELL
from opspawn_jupyter.model.work import Grace
from opspawn_jupyter.runners.conversation import Conversation
from opspawn_jupyter.runners.kernel import Kernel
from opspawn_jupyter.runners.messages import Messages, unpacked

_MESSAGES = Messages(b"")


class Script:
    """A line on which this comes, whatever is sent."""

    def __init__(self) -> None:
        self.coming: deque[tuple[bytes, Sequence[Part]]] = deque()
        self.sent: list[Sequence[bytes]] = []

    def comes(self, channel: bytes, kind: str, request: str) -> None:
        """It comes next."""
        session = _MESSAGES.session
        message = session.msg(kind, {"said": kind}, parent={"msg_id": request})
        self.coming.append((channel, session.serialize(message)))

    async def receive(self, _timeout_seconds: float) -> tuple[bytes, Sequence[Part]] | None:
        return self.coming.popleft() if self.coming else None

    def send(self, parts: Sequence[bytes]) -> None:
        self.sent.append(parts)

    send_control = send

    def close(self) -> None:
        """Nothing."""


class Living(Kernel):
    """A kernel without a process, which lives all the same."""

    async def exit_code(self) -> int | None:
        """None ever."""
        return None


class Ending(Kernel):
    """A kernel that says its last, and ends, in the moment in which it is looked at."""

    def __init__(self, script: Script) -> None:
        super().__init__("python3", grace=Grace(), env=os.environ)
        self._script = script

    async def exit_code(self) -> int | None:
        """0, after its last words."""
        if self._exit_code is None:
            self._script.comes(IOPUB, "status", "a cell")
            self._script.comes(SHELL, "execute_reply", "a cell")
            self._exit_code = 0
        return self._exit_code


def test_what_is_put_out_before_the_kernel_has_introduced_itself_is_heard_after() -> None:
    """The first cell is sent at once, and outputs may overtake the answer to what was sent before
    it: a lost ``idle`` would have the cell never end."""
    script = Script()
    kernel = Living("python3", grace=Grace(), env=os.environ)
    kernel.conversation = conversation = Conversation(script, _MESSAGES)

    async def heard() -> list[str]:
        kernel._ask_for_info(conversation)
        asked = unpacked(script.sent[0][2])["msg_id"]
        script.comes(IOPUB, "status", "a cell")
        script.comes(IOPUB, "stream", "a cell")
        script.comes(SHELL, "kernel_info_reply", asked)
        script.comes(SHELL, "execute_reply", "a cell")
        await kernel.identify()
        found = [await conversation.hear(0) for _ in range(3)]
        return [message["msg_type"] for _, message in filter(None, found)]

    assert asyncio.run(heard()) == ["status", "stream", "execute_reply"]
    assert kernel.info == {"said": "kernel_info_reply"}


def test_what_a_kernel_said_before_it_ended_is_heard_before_its_end() -> None:
    """A kernel that was told to end after its last cell has not crashed where its runner, which had
    no processor in that moment, finds the reply and the end at once."""
    script = Script()
    conversation, kernel = Conversation(script, _MESSAGES), Ending(script)

    async def heard() -> list[str]:
        found = [await kernel.hear(conversation) for _ in range(2)]
        with pytest.raises(DeadKernelError, match="exited with code 0"):
            await kernel.hear(conversation)
        return [message["msg_type"] for _, message in filter(None, found)]

    assert asyncio.run(heard()) == ["status", "execute_reply"]


def test_a_widget_sends_what_its_session_made() -> None:
    """nbclient's widgets take the conversation for jupyter_client's client."""
    script = Script()
    conversation = Conversation(script, _MESSAGES)

    conversation.shell_channel.send(conversation.session.msg("comm_msg", {"data": {}}))

    assert unpacked(script.sent[0][2])["msg_type"] == "comm_msg"
