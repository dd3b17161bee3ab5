"""What workers may ask, whichever door they come through."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TypeAlias

from opspawn_jupyter.model.work import (
    Assignment,
    ReportAnswer,
    ReportRequest,
    TakeAnswer,
    TakeRequest,
)
from opspawn_jupyter.orchestrator.context import Orchestration
from opspawn_jupyter.orchestrator.report import report
from opspawn_jupyter.orchestrator.take import take

_LONGEST_WAIT_SECONDS = 30.0

#: An answer, and about how many bytes it has as JSON.
Answered: TypeAlias = tuple[TakeAnswer | ReportAnswer, int]


async def give_work(o: Orchestration, worker: str, asked: TakeRequest) -> Answered:
    """Some, as soon as there is some."""
    wait_seconds = min(max(asked.wait_seconds, 0.0), _LONGEST_WAIT_SECONDS)
    answer = await take(o, worker, replace(asked, wait_seconds=wait_seconds))
    return answer, sum(map(_size_bytes, answer.assignments)) + sum(map(len, answer.cancel))


async def take_in_reports(o: Orchestration, worker: str, told: ReportRequest) -> Answered:
    """All of it is durable when this returns."""
    answer = await report(o, worker, told)
    await asyncio.sleep(0)  # first of all those are told who wait for the news
    return answer, sum(map(len, answer.unknown))


def _size_bytes(assignment: Assignment) -> int:
    """What somebody submitted, and a page of our own."""
    return 4096 + len(str(assignment.spec)) + sum(len(str(one)) for one in assignment.questions)
