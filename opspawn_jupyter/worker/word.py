"""What a process of the tier ``pool`` tells of a step: its events as they are to be reported.

The worker passes them on as they are. What it must know of them stands before them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple, Self

from opspawn_jupyter.model.states import OUTCOME_EVENTS, EventType
from opspawn_jupyter.model.work import ReportedEvent

_OUTCOMES = frozenset(OUTCOME_EVENTS.values())
#: Nobody need forget a passing event that is as small as a durable one.
_SMALL_LENGTH = 1024


class Word(NamedTuple):
    """Events of one step that follow one another."""

    #: The first of them is that the step has begun, the last one its outcome.
    has_begun: bool
    is_over: bool
    is_passing: bool
    #: That of the last durable one.
    number: int
    #: JSON objects with commas between them.
    text: str

    @property
    def line(self) -> bytes:
        """It on its way to the worker."""
        marks = f"{self.has_begun:d}{self.is_over:d}{self.is_passing:d}"
        return f"{marks} {self.number} {self.text}\n".encode()

    @classmethod
    def of(cls, line: bytes) -> Self:
        """That which came as this line. Raises ``ValueError`` for what is none: users' code shares
        the process, and a report of which a part is no JSON would be refused whole, again and
        again."""
        marks, number, text = line.decode().split(" ", 2)
        has_begun, is_over, is_passing = (mark == "1" for mark in marks)
        json.loads(f"[{text}]")
        return cls(has_begun, is_over, is_passing, int(number), text)


def words(events: Sequence[ReportedEvent]) -> Iterator[Word]:
    """These events of one step, in their order."""
    for is_passing, group in groupby(events, _is_passing):
        some = list(group)
        yield Word(
            has_begun=some[0].type is EventType.STARTED,
            is_over=some[-1].type in _OUTCOMES,
            is_passing=is_passing,
            number=max(event.number for event in some),
            text=",".join([event.text for event in some]),
        )


def _is_passing(event: ReportedEvent) -> bool:
    return not event.type.is_durable and len(event.text) > _SMALL_LENGTH
