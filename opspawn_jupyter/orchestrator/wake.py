"""Put tasks whose time has come into the queue: ``not_before``, and the next attempt's time."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from datetime import datetime, timedelta

from opspawn_jupyter.errors import IllegalTransition, Unavailable
from opspawn_jupyter.model import clock
from opspawn_jupyter.model.event import Draft
from opspawn_jupyter.model.states import EventType, State
from opspawn_jupyter.orchestrator.accept import await_turn
from opspawn_jupyter.orchestrator.context import Orchestration

logger = logging.getLogger(__name__)

#: Woken together, so that they share a sync of the disk.
_BATCH = 500
#: Until a store that could not be written is tried again.
_PATIENCE = timedelta(seconds=5)


async def keep_waking(o: Orchestration) -> None:
    """For as long as the server runs. It sleeps until exactly the next task is due."""
    while True:
        await wake_due(o, clock.now())
        await o.alarm.wait()


async def wake_due(o: Orchestration, now: datetime) -> None:
    """Queue every task that is due by ``now``."""
    while due := o.alarm.pop_due(now, _BATCH):
        await asyncio.gather(*(_wake(o, task_id, now) for task_id in due))


async def _wake(o: Orchestration, task_id: str, now: datetime) -> None:
    try:
        task = await o.store.task(task_id)
        if task is None or task.due_at is None:
            return  # it was cancelled meanwhile
        if task.due_at > now:
            o.alarm.set(task_id, task.due_at)
            return
        await o.record(Draft(task_id=task_id, type=EventType.QUEUED))
        await await_turn(o, replace(task, state=State.QUEUED))
    except IllegalTransition:
        logger.debug("task moved on before it was woken task_id=%s", task_id)
    except Unavailable as problem:
        o.alarm.set(task_id, now + _PATIENCE)
        logger.warning("task cannot be woken task_id=%s reason=%s", task_id, problem)
