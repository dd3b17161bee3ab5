"""Kernels that only pretend, inside this process: what a runner warms itself up on.

They take the place of the process at the other end, and of nothing else: launch arguments,
channels, messages and files are those of a real run.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from typing import Any

from jupyter_client.session import Session

from opspawn_jupyter.kernels import servers
from opspawn_jupyter.kernels.forking.line import IOPUB, SHELL, Frames, pack
from opspawn_jupyter.kernels.launching import Launch, recipe_of
from opspawn_jupyter.kernels.provisioner import TIER_KERNEL
from opspawn_jupyter.runners import sockets
from opspawn_jupyter.runners.direct import DirectKernel
from opspawn_jupyter.runners.forked import ForkedKernel

#: Sends the frames of a message on a channel.
Send = Callable[[bytes, Sequence[Any]], None]

_INFO = {"language_info": {"name": "python", "version": ""}, "status": "ok"}
_RESULT = {"execution_count": 1, "data": {"text/plain": "1"}, "metadata": {}}
_CONNECTION = {"transport": "ipc", "ip": "", "key": "", "signature_scheme": "hmac-sha256"}
#: What a request is answered with, beside busy and idle: by its type, on iopub and then on shell.
_ANSWERS: dict[str, tuple[list[tuple[str, dict[str, Any]]], tuple[str, dict[str, Any]]]] = {
    "kernel_info_request": ([], ("kernel_info_reply", _INFO)),
    "execute_request": (
        [
            ("execute_input", {"code": "1", "execution_count": 1}),
            ("stream", {"name": "stdout", "text": "1\n"}),
            ("execute_result", _RESULT),
        ],
        ("execute_reply", {"status": "ok", "execution_count": 1, "payload": []}),
    ),
}


class Echo:
    """Answers each request as if it had been carried out."""

    def __init__(self, session: Session, send: Send) -> None:
        self._session = session
        self._send = send

    def answer(self, frames: Sequence[Any]) -> None:
        """Take a request's frames, and send what a kernel would."""
        identities, parts = self._session.feed_identities(list(frames))
        request = self._session.deserialize(parts)
        if request["msg_type"] not in _ANSWERS:
            return
        shown, reply = _ANSWERS[request["msg_type"]]
        for kind, content in [_status("busy"), *shown]:
            self._tell(IOPUB, kind, content, request, [])
        self._tell(SHELL, *reply, request, identities)
        self._tell(IOPUB, *_status("idle"), request, [])

    def _tell(
        self, channel: bytes, kind: str, content: Any, request: Any, identities: list[bytes]
    ) -> None:
        message = self._session.msg(kind, content, parent=request)
        self._send(channel, self._session.serialize(message, ident=identities or None))


class _Answered(ForkedKernel):
    """Has its line answered by this process."""

    _far_end: socket.socket | None = None
    _answering: asyncio.Task[None] | None = None

    def _answer(self) -> None:
        self._line, self._far_end = socket.socketpair()
        self._answering = asyncio.ensure_future(self._serve(self._far_end))

    async def _serve(self, line: socket.socket) -> None:
        line.setblocking(False)
        loop, frames = asyncio.get_running_loop(), Frames()

        def send(channel: bytes, parts: Sequence[Any]) -> None:
            line.send(b"".join(pack(channel, parts)))

        echo = Echo(Session(key=b""), send)
        while data := await loop.sock_recv(line, 1 << 16):
            for _, parts in frames.feed(data):
                echo.answer(parts)

    @property
    def _is_elsewhere(self) -> bool:
        return False

    async def exit_code(self) -> int | None:
        """It lives until it is stopped."""
        return None if self._answering is not None else 0

    async def stop(self, *, politely: bool = True) -> None:  # noqa: ARG002  as in the base class
        """Close the line."""
        if self._answering is not None:
            self._answering.cancel()
            self._answering = None
        if self._far_end is not None:
            self._far_end.close()
        self.is_ready = False


class EchoKernel(_Answered):
    """In the tier ``kernel``."""

    async def launch(self) -> None:
        """Say how others would reach it, and make the line."""
        place = self._directory = sockets.private_directory()
        connection_file = place / "kernel.json"
        _look_for_server(self._wanted(TIER_KERNEL, connection_file))
        self._adopt(_CONNECTION, connection_file)
        self._answer()


class EchoDirectKernel(_Answered, DirectKernel):
    """In the tier ``direct``."""

    async def launch(self) -> None:
        """Make the line."""
        _look_for_server(self._plan())
        self._answer()


def _look_for_server(wanted: Launch | str) -> None:
    """Work out where the kernel would come from, as a launch does, and whether that is up."""
    if isinstance(wanted, str):
        return
    found = recipe_of(wanted)
    line = servers.connect(found) if found is not None else None
    if line is not None:
        line.close()


def _status(state: str) -> tuple[str, dict[str, Any]]:
    return "status", {"execution_state": state}
