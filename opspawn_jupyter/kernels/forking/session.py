"""jupyter_client's session, which makes messages in half the time, and sends them over lines.

All messages about a cell name the same parent, so it is packed once; and what belongs to the
beginning or the end of a cell can wait for what comes at once after it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from ipykernel.iostream import BackgroundSocket
from jupyter_client.adapter import adapt
from jupyter_client.session import DELIM, Session

from . import messages
from .iopub import IOPubThread
from .line import Channel
from .told import Told, is_owners

#: A message of these is followed by another, or by the end of its cell, before anything can block.
_CAN_WAIT = frozenset(["status", "execute_input", "execute_result", "error", "execute_reply"])
_PARTS = 5


class QuickSession(Session):
    """Makes what its base class makes."""

    _parent: Any = None
    _packed_parent = b"{}"
    #: Where replies go to the one for whom the kernel was made.
    owner: Channel | None = None

    def send(  # noqa: PLR0917  as in the base class
        self,
        stream: Any,
        msg_or_type: Any,
        content: Any = None,
        parent: Any = None,
        ident: Any = None,
        buffers: Any = None,
        track: bool = False,
        header: Any = None,
        metadata: Any = None,
    ) -> Any:
        """See the base class."""
        if self.owner is not None and is_owners(ident):
            stream, ident = self.owner, None
        channel: Any = stream.io_thread if isinstance(stream, BackgroundSocket) else stream
        has_line = _has_line(channel)
        if has_line and str(msg_or_type).startswith("comm_"):
            channel.has_asked = True
        # Sockets alone are better served by the base class, which copies nothing that is long.
        if not has_line or buffers or header or os.getpid() != self.pid:
            return super().send(
                stream, msg_or_type, content, parent, ident, buffers, track, header, metadata
            )
        message = msg_or_type
        if not isinstance(message, dict):
            message = self.msg(message, content, parent, metadata=metadata)
        self._tell(channel, message, ident)
        return message

    def _tell(self, channel: Any, message: dict[str, Any], ident: Any) -> None:
        is_private, can_wait = channel.is_private, message["msg_type"] in _CAN_WAIT
        parts = self._written(message, ident, _unsigned if is_private else self.sign)
        parts += message.get("buffers", [])
        if is_private:
            channel.confide(parts, can_wait=can_wait)
        else:
            (channel.hold if can_wait else channel.send_multipart)(parts)

    def serialize(self, msg: dict[str, Any], ident: Any = None) -> list[bytes]:
        """See the base class."""
        return self._written(msg, ident, self.sign)

    def _written(
        self, msg: dict[str, Any], ident: Any, sign: Callable[[list[bytes]], bytes]
    ) -> list[bytes]:
        if self.pack is not messages.pack or not isinstance(msg.get("content"), dict):
            return super().serialize(msg, ident)
        parts = [
            messages.pack(msg["header"]),
            self._pack_parent(msg["parent_header"]),
            messages.pack(msg["metadata"]) if msg["metadata"] else b"{}",
            messages.pack(msg["content"]),
        ]
        identities = ident if isinstance(ident, list) else [] if ident is None else [ident]
        return [*identities, DELIM, sign(parts), *parts]

    def _pack_parent(self, header: Any) -> bytes:
        """Nobody changes a header once it has come."""
        if header is not self._parent:
            self._packed_parent, self._parent = messages.pack(header), header
        return self._packed_parent

    def feed_identities(self, msg_list: Any, copy: bool = True) -> Any:
        """See the base class; also of plain bytes where frames are expected."""
        if isinstance(msg_list, Told):
            return [Told.IDENTITY], Told(msg_list[1:], is_ahead=msg_list.is_ahead)
        return super().feed_identities(msg_list, copy=copy or isinstance(msg_list[0], bytes))

    def deserialize(self, msg_list: Any, content: bool = True, copy: bool = True) -> Any:
        """As above. A message on a line is signed by nobody."""
        is_line = self.auth is None or isinstance(msg_list, Told)
        is_plain = is_line and len(msg_list) >= _PARTS
        if not is_plain or not isinstance(msg_list[0], bytes):
            return super().deserialize(msg_list, content, copy)
        header, parent, metadata = map(self.unpack, msg_list[1 : _PARTS - 1])
        told = msg_list[_PARTS - 1]
        message = {
            "header": header,
            "msg_id": header["msg_id"],
            "msg_type": header["msg_type"],
            "parent_header": parent,
            "metadata": metadata,
            "content": self.unpack(told) if content else told,
            "buffers": [memoryview(part) for part in msg_list[_PARTS:]],
        }
        return adapt(message)


def _unsigned(_parts: list[bytes]) -> bytes:
    """Only one can write to a line, and nobody looks who it was."""
    return b""


def _has_line(channel: object) -> bool:
    is_shared = isinstance(channel, IOPubThread) and channel.line is not None
    return is_shared or isinstance(channel, Channel)
