"""A world for schedules: their clock in the test's hand, and tasks that end as the test says."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from opspawn_jupyter.model import clock
from opspawn_jupyter.model.firing import Ended
from opspawn_jupyter.model.schedule import Plan, Timing
from opspawn_jupyter.model.states import EventType
from opspawn_jupyter.model.task import Task, TaskQuery
from opspawn_jupyter.model.work import TakeRequest
from opspawn_jupyter.orchestrator.context import Orchestration
from opspawn_jupyter.orchestrator.report import report
from opspawn_jupyter.orchestrator.schedule_history import history
from opspawn_jupyter.orchestrator.schedule_loop import fire_due
from opspawn_jupyter.orchestrator.schedule_outcome import follow_up
from opspawn_jupyter.orchestrator.take import take
from tests.unit.orchestrator.stage import note, of, reported

START = datetime.fromisoformat("2026-11-25T22:00:30+00:00")
Play = Callable[..., None]


class Clock:
    """The system's clock, in the test's hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.time = START
        monkeypatch.setattr(clock, "now", lambda: self.time)

    async def go(self, o: Orchestration, **span: float) -> None:
        """Let time pass, and what is due be done."""
        self.time += timedelta(**span)
        await fire_due(o, self.time)


def plan(timing: Timing | None = None, **given: Any) -> Plan:
    asked = {"name": "hourly", "submission": note(), "timing": timing or Timing(cron="@hourly")}
    return Plan(**{**asked, **given})


async def tasks(o: Orchestration) -> tuple[Task, ...]:
    return (await o.store.tasks(TaskQuery(sort="created_at"))).tasks


async def told(o: Orchestration, name: str = "hourly") -> list[str]:
    """Reasons and tasks, oldest first."""
    firings = (await history(o, name, 100, None)).firings
    return [one.reason.value if one.reason else one.cause.value for one in reversed(firings)]


async def finish(o: Orchestration, outcome: EventType, **data: Any) -> Ended:
    """Have the task that waits run and end so."""
    answer = await take(o, "w", TakeRequest(free_slots=1, wait_seconds=0))
    (assignment,) = answer.assignments
    task = await o.store.task(assignment.task_id)
    assert task is not None
    steps = [reported(EventType.STARTED, 1, worker="w")]
    if data:
        steps.append(reported(EventType.STEP_OUTPUT, 2, **data))
    steps.append(reported(outcome, 3, error={"name": "E", "message": "m"}))
    await report(o, "w", of(task, *steps))
    last = await o.store.task(task.id)
    assert last is not None
    ended = await follow_up(o, last)
    assert ended is not None
    return ended
