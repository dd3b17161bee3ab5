"""The supervisor's memory of tasks; its processes are seen in tests/integration."""

from __future__ import annotations

import asyncio

from opspawn_jupyter.model.event import Event
from opspawn_jupyter.model.states import EventType
from opspawn_jupyter.server.supervisor import Supervisor


def told(*types: EventType) -> Supervisor:
    supervisor = Supervisor()
    supervisor.tell(
        [
            Event(task_id="t", type=type, seq=n, data={"kind": "notebook"})
            for n, type in enumerate(types, 1)
        ]
    )
    return supervisor


def test_unfinished_tasks_are_counted():
    """Jupyter asks before it shuts down a server that seems idle."""

    async def scene() -> None:
        assert told(EventType.SUBMITTED, EventType.QUEUED).unfinished_count == 1
        assert told(EventType.QUEUED, EventType.STARTED).unfinished_count == 1
        assert told(EventType.QUEUED, EventType.STARTED, EventType.CRASHED).unfinished_count == 0

    asyncio.run(scene())


def test_a_worker_that_keeps_dying_is_a_problem_that_is_told():
    """Tasks would wait in the queue for ever, and nobody would know why."""

    async def scene() -> None:
        supervisor = told(EventType.QUEUED)
        assert supervisor.problem is None

        for _ in range(3):
            supervisor._slow_down()

        assert "worker.log" in (supervisor.problem or "")

    asyncio.run(scene())
