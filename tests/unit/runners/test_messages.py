"""Messages as a run writes and reads them."""

from __future__ import annotations

from typing import Any

import pytest
from jupyter_client.session import Session

from opspawn_jupyter.runners.messages import Messages, unpacked

_KEY = b"a key"
_NAMES = ("header", "parent_header", "metadata", "content")


def sent(session: Session, header: dict[str, Any]) -> list[bytes]:
    """A message with this in its header, as it comes from a kernel."""
    parent = {"msg_id": "a request"}
    message = session.msg("stream", {"text": "ä: 2026-11-26T05:00:00Z"}, parent=parent)
    message["header"].update(header)
    parts = [session.pack(message[name]) for name in _NAMES]
    return [b"a topic", b"<IDS|MSG>", session.sign(parts), *parts, b"a buffer"]


def read_by_jupyter_client(parts: list[bytes]) -> dict[str, Any]:
    """What it makes of them."""
    session = Session(key=_KEY)
    return session.deserialize(session.feed_identities(parts)[1])


@pytest.mark.parametrize(
    "date",
    ["2026-11-26T05:00:00.123456Z", "2026-11-26T06:00:00+01:00", "yesterday", 7, None],
)
def test_a_message_is_what_jupyter_client_makes_of_it(date: Any) -> None:
    """Outputs, times and widgets are nbclient's business, which knows no other messages."""
    parts = sent(Session(key=_KEY), {"date": date})

    assert Messages(_KEY).read(parts) == read_by_jupyter_client(parts)


def test_an_old_kernels_message_is_adapted() -> None:
    """Kernels of other languages may speak the protocol's fourth version."""
    old = {"version": "4.1", "msg_type": "pyout"}
    parts = sent(Session(key=_KEY), old)

    found = Messages(_KEY).read(parts)

    assert found == read_by_jupyter_client(parts)
    assert found["msg_type"] == "execute_result"


def test_a_request_is_what_a_kernel_understands() -> None:
    """It is signed, and says what it is and whose."""
    name, parts = Messages(_KEY).request("execute_request", {"code": "'ä' + '\ud83d'"})

    found = read_by_jupyter_client(parts)

    assert (found["msg_id"], found["msg_type"]) == (name, "execute_request")
    assert found["content"] == {"code": "'ä' + '\ud83d'"}
    made = Session().msg("execute_request")["header"]
    assert {key: type(value) for key, value in found["header"].items()} == {
        key: type(value) for key, value in made.items()
    }


def test_a_message_that_is_signed_with_another_key_is_refused() -> None:
    """On a port others may listen, too."""
    parts = sent(Session(key=b"another"), {})
    with pytest.raises(ValueError, match="wrong signature"):
        Messages(_KEY).read(parts)


@pytest.mark.parametrize("parts", [[], [b"<IDS|MSG>", b"", b"{}", b"{}", b"{}"]])
def test_a_message_of_which_parts_are_missing_is_refused(parts: list[bytes]) -> None:
    """What it says would be made up."""
    with pytest.raises(ValueError, match=r"."):
        Messages(b"").read(parts)


def test_a_widget_speaks_as_the_same_client() -> None:
    """A kernel tells its clients apart by their sessions."""
    messages = Messages(_KEY)
    _, parts = messages.request("execute_request", {})

    assert messages.session.msg("comm_msg")["header"]["session"] == unpacked(parts[2])["session"]
