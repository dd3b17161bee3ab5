"""Messages of forked kernels are packed as jupyter_client packs them."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from jupyter_client import session as library
from jupyter_client.session import Session

from opspawn_jupyter.kernels.forking import messages


@pytest.mark.parametrize(
    "value",
    [
        {"text": "Zürich 1 \x00", "nested": [1, 2.5, None, True, {"a": ()}]},
        {"date": datetime(2026, 11, 26, 5, tzinfo=UTC)},
        {"data": b"\x00\xff", "path": Path("a"), "whole": Decimal(2)},
        [],
    ],
)
def test_what_is_packed_is_what_jupyter_client_packs(value: Any) -> None:
    """Outputs hold whatever a library puts there."""
    assert outcome(messages.pack, value) == outcome(library.json_packer, value)


@pytest.mark.filterwarnings("ignore:Message serialization failed")
@pytest.mark.parametrize("value", [{"a": float("nan")}, {"a": {1, 2}}, {("a", "b"): 1}])
def test_what_is_no_json_is_left_to_jupyter_client(value: Any) -> None:
    assert outcome(messages.pack, value) == outcome(library.json_packer, value)


def test_a_session_that_packs_otherwise_is_left_alone() -> None:
    """Its configuration says so."""
    session = Session(key=b"", packer="pickle", unpacker="pickle")
    pack = session.pack

    messages.quicken(session)

    assert session.pack is pack


def test_a_renewed_session_has_nothing_of_the_old() -> None:
    """Forks of one process would sign with the same key."""
    session = Session(key=b"old")
    old = session.session, session.sign([b"text"])
    session.pid = 1

    messages.renew(session, b"new")

    assert session.session not in old
    assert session.bsession == session.session.encode()
    assert session.sign([b"text"]) == Session(key=b"new").sign([b"text"]) != old[1]
    assert session.pid == os.getpid()


def outcome(pack: Any, value: Any) -> Any:
    try:
        return pack(value)
    except Exception as error:
        return type(error)


def test_half_a_character_is_packed_as_an_escape() -> None:
    """A cell can print it; whoever sends cannot ask for something else instead."""
    assert messages.pack({"text": "ä\ud83d"}) == b'{"text": "\\u00e4\\ud83d"}'
    assert messages.unpack(messages.pack("\ud83d")) == "\ud83d"
