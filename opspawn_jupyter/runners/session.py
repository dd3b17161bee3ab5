"""The session of a client that reads many messages."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from jupyter_client.session import Session


def new_session(key: bytes) -> Session:
    """A session that leaves the dates of headers to Python. jupyter_client has dateutil read
    them, which takes as long as all the rest of a message; what it finds read it leaves as it is.
    """
    session = Session(key=key)
    unpack: Any = session.unpack

    def unpacked(part: bytes) -> Any:
        value = unpack(part)
        if isinstance(value, dict) and "msg_id" in value:
            _read_date(value)
        return value

    session.unpack = unpacked
    return session


def _read_date(header: dict[str, Any]) -> None:
    try:
        header["date"] = datetime.fromisoformat(header["date"])
    except (KeyError, TypeError, ValueError):
        return  # it is jupyter_client's to make sense of
