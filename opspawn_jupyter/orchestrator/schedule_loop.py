"""The loop that looks at schedules when they are due. It sleeps until the next one is, and costs
nothing meanwhile, however many there are."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from opspawn_jupyter.errors import OpspawnError
from opspawn_jupyter.model import clock
from opspawn_jupyter.model.firing import Ended
from opspawn_jupyter.model.task import TaskQuery
from opspawn_jupyter.orchestrator.context import Orchestration
from opspawn_jupyter.orchestrator.firing import account, rewind
from opspawn_jupyter.orchestrator.schedule_outcome import concern, follow_up
from opspawn_jupyter.orchestrator.schedule_record import arm, every_schedule, find_known
from opspawn_jupyter.orchestrator.schedule_unsettled import left_over

logger = logging.getLogger(__name__)

#: Looked at together, so that they share syncs of the disk.
_BATCH = 200
#: A clock that goes back by less is waited for: nothing fires twice, and nothing is lost.
_SET_BACK = timedelta(hours=1)
#: Runs of workflows that a server looks at when it starts.
_WORKFLOWS = 100

#: Sees to what a task's end leaves.
Settle = Callable[[Ended], None]


async def keep_scheduling(o: Orchestration, settle: Settle = lambda _: None) -> None:
    """For as long as the server runs. ``settle`` is told what ended while none did, and what the
    last one left undone."""
    for ended in await begin(o):
        settle(ended)
    seen = clock.now()
    while True:
        now = clock.now()
        if now < seen - _SET_BACK:
            await set_back(o, now)
        seen = now
        await fire_due(o, now)
        await o.schedule_alarm.wait()


async def begin(o: Orchestration) -> tuple[Ended, ...]:
    """Take up every schedule where the last server left it; what ended meanwhile, or is not seen
    to."""
    found = await every_schedule(o)
    for current in found:
        arm(o, current.schedule)
    unfinished = [task_id for current in found for task_id in current.schedule.unfinished]
    tasks = [task for task_id in unfinished if (task := await o.store.task(task_id)) is not None]
    left = [ended for current in found for ended in await left_over(o, current.schedule)]
    ends = [await follow_up(o, task) for task in tasks if task.state.is_final]
    await _tell_of_workflows(o)
    now = clock.now()
    if any(current.schedule.accounted_until > now + _SET_BACK for current in found):
        await set_back(o, now)
    return (*left, *(ended for ended in ends if ended is not None))


async def _tell_of_workflows(o: Orchestration) -> None:
    """A run that ended in the moment in which the last server did is told of now. What has been
    told of starts nothing again."""
    if not o.triggers.follows_workflows():
        return
    query = TaskQuery(kind="workflow", is_top=True, limit=_WORKFLOWS)
    for task in (await o.store.tasks(query)).tasks:
        for schedule_id in o.triggers.after_workflow(task):
            since = (await find_known(o, schedule_id)).schedule.accounted_until
            if task.finished_at is not None and task.finished_at > since:
                await concern(o, schedule_id, task)


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
