"""Packing and reading messages, as jupyter_client does it, in half the time.

Its own functions make an encoder for each of the four parts of a message, and have dateutil read
the dates of headers, which takes as long as all the rest. What they find read they leave as it is.
"""

from __future__ import annotations

import json
import os
from datetime import datetime
from typing import Any

from jupyter_client import session as library
from jupyter_client.jsonutil import json_default

_encode = json.JSONEncoder(default=json_default, ensure_ascii=False, allow_nan=False).encode
_escape = json.JSONEncoder(default=json_default, allow_nan=False).encode


def renew(session: Any, key: bytes) -> None:
    """Make a session that is older than this process its own: nobody else has its key and name."""
    session.pid = os.getpid()
    session.session = library.new_id()
    if session.key != key:  # observed: whatever signs is made anew
        session.key = key


def quicken(session: Any) -> None:
    """Let the session use these; one that is configured to pack otherwise is left as it is."""
    if session.pack is library.json_packer and session.unpack is library.json_unpacker:
        session.pack, session.unpack = pack, unpack


def pack(value: Any) -> bytes:
    """The value in JSON."""
    try:
        return _encode(value).encode("utf8", "surrogateescape")
    except UnicodeEncodeError:  # half of a surrogate pair, which anybody can print
        return _escape(value).encode()
    except (TypeError, ValueError):  # it knows what to do about those
        return library.json_packer(value)


def unpack(part: Any) -> Any:
    """The value; of a header with its date read."""
    value = library.json_unpacker(part)
    if isinstance(value, dict) and "msg_id" in value:
        read_date(value)
    return value


def read_date(header: dict[str, Any]) -> None:
    """Make the header's date one of Python's, where it is one at all."""
    try:
        header["date"] = datetime.fromisoformat(header["date"])
    except (KeyError, TypeError, ValueError):
        return  # it is jupyter_client's to make sense of
