"""Messages as a run reads them."""

from __future__ import annotations

from typing import Any

import pytest
from jupyter_client.session import Session

from opspawn_jupyter.runners.session import new_session

_PARTS = slice(1, None)  # after the delimiter
_NAMES = ("header", "parent_header", "metadata", "content")


def sent(session: Session, header: dict[str, Any]) -> list[bytes]:
    """A message with this in its header, as it comes from a kernel."""
    message = session.msg("stream", {"text": "2026-11-26T05:00:00Z"}, parent=session.msg("execute"))
    message["header"].update(header)
    return session.serialize(message)[_PARTS]


@pytest.mark.parametrize("date", ["2026-11-26T05:00:00.123456Z", "2026-11-26T06:00:00+01:00"])
def test_a_message_is_what_jupyter_client_makes_of_it(date: str) -> None:
    """Dates are read sooner, and nothing else of a message is another."""
    session = Session(key=b"")
    parts = sent(session, {"date": date})
    expected = session.deserialize(parts)

    assert new_session(b"").deserialize(parts) == expected


@pytest.mark.parametrize("date", [None, 7, "yesterday"])
def test_a_date_that_is_none_is_left_to_others(date: Any) -> None:
    """Kernels of other languages write what they like."""
    session = Session(key=b"")
    message = session.msg("status", {})
    message["header"]["date"] = date
    parts = [b"", *(session.pack(message[name]) for name in _NAMES)]

    assert new_session(b"").deserialize(parts) == session.deserialize(parts)
