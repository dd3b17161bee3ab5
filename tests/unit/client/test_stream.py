"""Messages of the server's websocket."""

from __future__ import annotations

import json

import pytest

from opspawn_jupyter.client.stream import told


@pytest.mark.parametrize(
    "texts", [["a"], ["a, b", "]", "[{"], ["two\nlines", "\u2028", '"\\n'], []]
)
def test_a_message_may_hold_several_events_whatever_they_say(texts: list[str]) -> None:
    """Users print what they like, and all of a short run comes in one message."""
    events = [{"seq": seq, "data": {"text": text}} for seq, text in enumerate(texts)]

    for in_ascii in (True, False):
        message = "\n".join(json.dumps(event, ensure_ascii=in_ascii) for event in events)
        assert told(message) == told(message.encode()) == told(f"{message}\n") == events
