"""What a process of the tier ``pool`` tells of a step."""

from __future__ import annotations

import pytest

from opspawn_jupyter.model.clock import now
from opspawn_jupyter.model.states import EventType
from opspawn_jupyter.model.work import ReportedEvent
from opspawn_jupyter.worker.word import Word, words


def event(type: EventType, number: int, **data: object) -> ReportedEvent:
    return ReportedEvent(type=type, at=now(), data=data, number=number)


def test_a_line_tells_what_was_said() -> None:
    told = [event(EventType.STARTED, 1, worker="w"), event(EventType.SUCCEEDED, 2, text="a b\n")]

    (word,) = words(told)

    assert Word.of(word.line.rstrip(b"\n")) == word
    assert (word.has_begun, word.is_over, word.is_passing, word.number) == (True, True, False, 2)


@pytest.mark.parametrize(
    "line", [b"", b"Traceback", b"110 2", b"110 two {}", b'110 2 {"type":', b'110 2 {}, {"a": {}}}']
)
def test_what_is_no_word_is_not_passed_on(line: bytes) -> None:
    """Users' code shares the process, and can write where it should not."""
    with pytest.raises(ValueError):  # noqa: PT011  which of them does not matter
        Word.of(line)
