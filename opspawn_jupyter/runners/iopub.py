"""The channel on which a kernel's outputs come, with a measure against outputs of any size.

A message that is too long to be kept is not taken apart: parsing takes several times its size in
memory, and so long that a kernel which prints without end would fill this process's queue.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from jupyter_client.channels import AsyncZMQSocketChannel

from opspawn_jupyter.runners.budget import RESULT_BYTES, Budget
from opspawn_jupyter.runners.outputs import STEP_MIME

#: Key of a message whose content was left out: its length.
LEFT_OUT = "left_out_bytes"
#: Key of every message: length of its content.
SIZE = "size_bytes"

_STEP = STEP_MIME.encode()
_OUTPUTS = frozenset(["stream", "display_data", "update_display_data", "execute_result", "error"])
#: A JSON string that is cut here and there can be mended by leaving out up to so many bytes: two
#: escapes of a surrogate pair.
_LONGEST_CHARACTER = 12


class BoundedChannel(AsyncZMQSocketChannel):
    """Gives messages as the base class does, save for outputs beyond the budget."""

    budget: Budget | None = None

    async def get_msg(  # type: ignore[override]  # as in the base class
        self, timeout: float | None = None
    ) -> dict[str, Any]:
        """The next message, once there is one. Raises ``queue.Empty`` after the time-out."""
        if timeout is None:
            return await self._recv()  # the base class polls first, which doubles the time
        return await super().get_msg(timeout)

    async def _recv(  # type: ignore[override]  # as in the base class
        self, **_options: Any
    ) -> dict[str, Any]:
        frames = await self.socket.recv_multipart(copy=False)
        parts: list[Any] = self.session.feed_identities(frames, copy=False)[1]
        size = sum(len(part) for part in parts[4:])
        if self.budget is not None and size > self.budget.room:
            header = self.session.unpack(parts[1].bytes)
            if _is_dispensable(header["msg_type"], parts[4], size):
                return self._reduced(header, parts, size, self.budget.room)
        message: dict[str, Any] = self.session.deserialize(parts, copy=False)
        return {**message, SIZE: size}

    def _reduced(
        self, header: dict[str, Any], parts: Sequence[Any], size: int, room: int
    ) -> dict[str, Any]:
        is_text = header["msg_type"] == "stream" and room
        content = beginning(bytes(parts[4].buffer[:room])) if is_text else {}
        return {
            "header": header,
            "msg_id": header["msg_id"],
            "msg_type": header["msg_type"],
            "parent_header": self.session.unpack(parts[2].bytes),
            "metadata": {},
            "content": content,
            "buffers": [],
            SIZE: size,
            LEFT_OUT: size,
        }


def _is_dispensable(kind: str, content: Any, size: int) -> bool:
    """An output, but no short result or error, and no message of the step API."""
    if kind not in _OUTPUTS:
        return False
    if size > RESULT_BYTES:
        return True
    return kind == "stream" or (kind == "display_data" and _STEP not in bytes(content.buffer))


def beginning(content: bytes) -> dict[str, Any]:
    """The content of a stream message of which only the first bytes are given; empty where its
    members do not come in the usual order."""
    for missing in range(_LONGEST_CHARACTER + 1):
        try:
            found = json.loads(content[: len(content) - missing] + b'"}')
        except ValueError:
            continue
        return found if isinstance(found.get("text"), str) and "name" in found else {}
    return {}
