"""Messages of forked kernels are those that jupyter_client's session makes and reads."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from typing import Any

import pytest
import zmq
from jupyter_client.session import Session

from opspawn_jupyter.kernels.forking import messages
from opspawn_jupyter.kernels.forking.line import IOPUB, Channel, Frames, Line
from opspawn_jupyter.kernels.forking.session import QuickSession
from opspawn_jupyter.runners.messages import Messages

KEYS = (b"", b"key")


def quick(key: bytes) -> QuickSession:
    """As a kernel has it."""
    session = QuickSession(key=key, session="one", username="somebody")
    messages.quicken(session)
    return session


@pytest.fixture
def a_line() -> Iterator[tuple[Channel, socket.socket]]:
    """The kernel's channel, and its client's end."""
    here, there = socket.socketpair()
    with here, there:
        line = Line()
        line.attach(os.dup(there.fileno()))
        yield Channel(line, IOPUB), here
        line.close()


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("ident", [None, b"topic", [b"a", b"b"]])
@pytest.mark.parametrize("metadata", [None, {"started": 1}])
def test_a_message_is_made_as_jupyter_client_makes_it(
    key: bytes, ident: Any, metadata: Any
) -> None:
    """Also the second about the same parent, which is not packed once more."""
    session, usual = quick(key), Session(key=key, session="one")
    parent = usual.msg("execute_request", {"code": "1"})
    for content in ({"text": "Zürich"}, {}, None):
        made = session.msg("stream", content, parent, metadata=metadata)

        assert spoken(session.serialize(made, ident)) == spoken(usual.serialize(made, ident))


@pytest.mark.parametrize("key", KEYS)
def test_a_request_is_read_as_jupyter_client_reads_it(key: bytes) -> None:
    """As frames of a socket, and as the bytes of a line."""
    _, parts = Messages(key).request("execute_request", {"code": "x"})
    for frames in ([zmq.Frame(part) for part in parts], parts):
        is_copied = frames is parts
        usual, session = Session(key=key), quick(key)

        read = session.deserialize(
            session.feed_identities(list(frames), copy=is_copied)[1], True, is_copied
        )
        expected = usual.deserialize(
            usual.feed_identities(list(frames), copy=is_copied)[1], True, is_copied
        )

        assert read == expected


def test_a_message_that_is_not_whole_is_refused_alike() -> None:
    with pytest.raises(TypeError, match="malformed"):
        quick(b"").deserialize([b"", b"{}"])


def test_the_end_of_a_cell_arrives_in_one_piece_with_what_follows(a_line: Any) -> None:
    """Each piece wakes the client; and nothing overtakes anything."""
    session, (iopub, here) = quick(b""), a_line
    here.setblocking(False)

    for kind in ("status", "execute_input", "error"):
        assert session.send(iopub, kind, {})["msg_type"] == kind
    with pytest.raises(BlockingIOError):
        here.recv(1)
    session.send(iopub, "display_data", {"data": {}})

    arrived = [json.loads(parts[2])["msg_type"] for _, parts in Frames().feed(here.recv(1 << 16))]
    assert arrived == ["status", "execute_input", "error", "display_data"]


def test_what_is_said_on_a_line_is_not_signed(a_line: Any) -> None:
    """Only one can write to it, and only one reads."""
    session, (iopub, here) = quick(b"key"), a_line

    session.send(iopub, "display_data", {"data": {}})

    ((_, parts),) = Frames().feed(here.recv(1 << 16))
    assert parts[:2] == [b"<IDS|MSG>", b""]
    assert Messages(b"").read(parts)["content"] == {"data": {}}


def test_a_message_with_buffers_goes_the_usual_way(a_line: Any) -> None:
    """Of widgets; they are few."""
    session, (iopub, here) = quick(b""), a_line

    session.send(iopub, "comm_msg", {"data": {}}, buffers=[b"\x00\x01"])

    ((_, parts),) = Frames().feed(here.recv(1 << 16))
    assert parts[-1] == b"\x00\x01"


def test_a_child_of_the_kernel_sends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """The line is its parent's; jupyter_client says so in the log."""
    session = quick(b"")
    session.pid = os.getpid() + 1

    assert session.send(Channel(Line(), IOPUB), "status", {}) is None


def spoken(parts: list[bytes]) -> list[Any]:
    """What the parts say, whatever the order of names; the signature depends on that."""
    at = parts.index(b"<IDS|MSG>")
    return [parts[:at], len(parts[at + 1]), *map(json.loads, parts[at + 2 :])]
