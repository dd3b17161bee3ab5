"""Messages of the Jupyter protocol: what is sent to kernels, and what is made of what comes.

``jupyter_client.session`` does the same at ten times the cost: its settings are traits, its parts
frames of zmq. What it makes of a message is made of it here, too, save that dates of parents, which
nobody asks for, stay as they came, and that nobody looks for a message that comes twice.
"""

from __future__ import annotations

import hmac
import json
import os
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from jupyter_client._version import protocol_version
from jupyter_client.adapter import adapt
from jupyter_client.session import DELIM, Session

from opspawn_jupyter.kernels.arrival import Part
from opspawn_jupyter.kernels.forking.messages import read_date

_VERSION_MAJOR = f"{protocol_version.split('.')[0]}."
_PARTS = 5


class Messages:
    """Writes and reads them for one client. Without a key they are not signed."""

    def __init__(self, key: bytes, scheme: str = "hmac-sha256") -> None:
        self._key = key
        self._scheme = scheme
        self._id = str(uuid.uuid4())
        self._count = 0
        self._packed_parent = b"{}"
        self._parent: Any = {}
        self._blank = hmac.new(key, digestmod=scheme.removeprefix("hmac-")) if key else None

    @cached_property
    def session(self) -> Session:
        """jupyter_client's own, for those who speak by it: they send as this client."""
        return Session(key=self._key, session=self._id, signature_scheme=self._scheme)

    def request(self, kind: str, content: Mapping[str, Any]) -> tuple[str, list[bytes]]:
        """A new message: its id, and its parts."""
        self._count += 1
        name = f"{self._id}_{os.getpid()}_{self._count}"
        header = {
            "msg_id": name,
            "msg_type": kind,
            "username": "opspawn",
            "session": self._id,
            "date": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
            "version": protocol_version,
        }
        parts = [json.dumps(header).encode(), b"{}", b"{}", json.dumps(content).encode()]
        return name, [DELIM, self._signature(parts), *parts]

    def read(self, parts: Sequence[Part]) -> dict[str, Any]:
        """What the message says. Raises ``ValueError`` where it is not whole, or not signed with
        the key."""
        first, signed, buffers = split(parts)
        if self._key and not hmac.compare_digest(parts[first], self._signature(signed)):
            message = "A message of the kernel has the wrong signature."
            raise ValueError(message)
        header, content = unpacked(signed[0]), unpacked(signed[-1])
        read_date(header)
        found = {
            "header": header,
            "msg_id": header["msg_id"],
            "msg_type": header["msg_type"],
            "parent_header": self._parent_of(signed),
            "metadata": {} if signed[2] == b"{}" else unpacked(signed[2]),
            "content": content,
            "buffers": [memoryview(part) for part in buffers],
        }
        return found if _is_current(header) else adapt(found)

    def _parent_of(self, signed: Sequence[Part]) -> Any:
        """All that is said of a cell has the same, which nobody changes."""
        if signed[1] != self._packed_parent:
            self._packed_parent, self._parent = bytes(signed[1]), unpacked(signed[1])
        return self._parent

    def _signature(self, parts: Sequence[Part]) -> bytes:
        if self._blank is None:
            return b""
        digest = self._blank.copy()
        for part in parts:
            digest.update(part)
        return digest.hexdigest().encode()


def split(parts: Sequence[Part]) -> tuple[int, Sequence[Part], Sequence[Part]]:
    """Where its signature stands, the parts that are signed (header, parent, metadata, content),
    and the buffers after them. Raises ``ValueError``."""
    first = parts.index(DELIM) + 1
    signed, buffers = parts[first + 1 : first + _PARTS], parts[first + _PARTS :]
    if len(signed) < _PARTS - 1:
        message = "A message of the kernel is not whole."
        raise ValueError(message)
    return first, signed, buffers


def unpacked(part: Part) -> Any:
    """What one part says."""
    return json.loads(str(part, "utf-8", "replace"))


def _is_current(header: Mapping[str, Any]) -> bool:
    return "date" in header and str(header.get("version", "")).startswith(_VERSION_MAJOR)
