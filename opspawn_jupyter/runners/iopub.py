"""The channel on which a kernel's outputs come, with a measure against outputs of any size.

A message that is too long to be kept is not taken apart: parsing takes several times its size in
memory, and so long that a kernel which prints without end would fill this process's queue.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from opspawn_jupyter.kernels.arrival import Part
from opspawn_jupyter.runners.budget import RESULT_BYTES, Budget
from opspawn_jupyter.runners.messages import Messages, split, unpacked
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


def bounded(messages: Messages, parts: Sequence[Part], budget: Budget | None) -> dict[str, Any]:
    """What a message on iopub says; of an output beyond the budget only its beginning, or less.

    Raises ``ValueError`` as ``Messages.read`` does.
    """
    _, signed, buffers = split(parts)
    header, content = signed[0], signed[-1]
    size = len(content) + sum(map(len, buffers))
    if budget is not None and size > (room := budget.room):
        told = unpacked(header)
        if _is_dispensable(told["msg_type"], content, size):
            return _reduced(told, unpacked(signed[1]), content, size, room)
    return {**messages.read(parts), SIZE: size}


def _reduced(
    header: dict[str, Any], parent: dict[str, Any], content: Part, size: int, room: int
) -> dict[str, Any]:
    is_text = header["msg_type"] == "stream" and room
    return {
        "header": header,
        "msg_id": header["msg_id"],
        "msg_type": header["msg_type"],
        "parent_header": parent,
        "metadata": {},
        "content": beginning(bytes(content[:room])) if is_text else {},
        "buffers": [],
        SIZE: size,
        LEFT_OUT: size,
    }


def _is_dispensable(kind: str, content: Part, size: int) -> bool:
    """An output, but no short result or error, and no message of the step API."""
    if kind not in _OUTPUTS:
        return False
    if size > RESULT_BYTES:
        return True
    return kind == "stream" or (kind == "display_data" and _STEP not in bytes(content))


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
