"""The supervisor's memory of tasks; its processes are seen in tests/integration."""

from __future__ import annotations

import asyncio
import sys
from threading import Event as Signal
from types import SimpleNamespace
from typing import Any, cast

import psutil
import pytest

from opspawn_jupyter.model.event import Event
from opspawn_jupyter.model.states import EventType
from opspawn_jupyter.server.supervisor import Supervisor
from opspawn_jupyter.server.worker_process import WorkerProcess


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


def test_a_worker_that_is_being_started_when_the_server_stops_is_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nobody else knows of it: it would stay for a minute, and look for a server that is gone."""
    begun, may_go_on = Signal(), Signal()
    started: list[WorkerProcess] = []

    def start(_settings: Any, worker_id: str) -> WorkerProcess:
        begun.set()
        may_go_on.wait()
        process = psutil.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        started.append(WorkerProcess(worker_id, process))
        return started[0]

    async def scene() -> None:
        supervisor = Supervisor()
        supervisor._background.start(
            supervisor._hire(cast("Any", SimpleNamespace(settings=0))), "x"
        )
        await asyncio.to_thread(begun.wait)
        closing = asyncio.ensure_future(supervisor.close(60.0))
        await asyncio.sleep(0)
        may_go_on.set()
        await closing

    monkeypatch.setattr(WorkerProcess, "start", start)
    asyncio.run(scene())

    assert not started[0].is_alive()
