"""The loop that looks at schedules when they are due. It sleeps until the next one is, and costs
nothing meanwhile, however many there are."""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime, timedelta

from opspawn_jupyter.errors import OpspawnError
from opspawn_jupyter.model import clock
from opspawn_jupyter.orchestrator.context import Orchestration
from opspawn_jupyter.orchestrator.firing import account, rewind
from opspawn_jupyter.orchestrator.schedule_outcome import follow_up
from opspawn_jupyter.orchestrator.schedule_record import arm, every_schedule

logger = logging.getLogger(__name__)

#: Looked at together, so that they share syncs of the disk.
_BATCH = 200
#: A clock that goes back by less is waited for: nothing fires twice, and nothing is lost.
_SET_BACK = timedelta(hours=1)


async def keep_scheduling(o: Orchestration) -> None:
    """For as long as the server runs."""
    await begin(o)
    seen = clock.now()
    while True:
        now = clock.now()
        if now < seen - _SET_BACK:
            await set_back(o, now)
        seen = now
        await fire_due(o, now)
        await o.schedule_alarm.wait()


async def begin(o: Orchestration) -> None:
    """Take up every schedule where the last server left it."""
    found = await every_schedule(o)
    for current in found:
        arm(o, current.schedule)
        for task_id in current.schedule.unfinished:
            task = await o.store.task(task_id)
            if task is not None and task.state.is_final:
                await follow_up(o, task)
    now = clock.now()
    if any(current.schedule.accounted_until > now + _SET_BACK for current in found):
        await set_back(o, now)


async def fire_due(o: Orchestration, now: datetime) -> None:
    """Look at every schedule that is due by ``now``."""
    while due := o.schedule_alarm.pop_due(now, _BATCH):
        await asyncio.gather(*(_look(o, schedule_id, now) for schedule_id in set(due)))


async def set_back(o: Orchestration, now: datetime) -> None:
    """The clock shows an earlier time than before: start from there."""
    logger.warning("clock was set back now=%s", now.isoformat())
    for current in await every_schedule(o):
        await rewind(o, current.schedule.id, now)


async def _look(o: Orchestration, schedule_id: str, now: datetime) -> None:
    try:
        await account(o, schedule_id, now)
    except OpspawnError:  # one schedule must not keep the others from their turn
        logger.exception("schedule failed schedule_id=%s", schedule_id)
