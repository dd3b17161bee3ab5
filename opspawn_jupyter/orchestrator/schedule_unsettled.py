"""What the end of a schedule's task leaves to be done: papers to be made, people to be told.

It is written down together with the end, and taken away when it is done, so that a server that is
killed in between leaves it to the next.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from opspawn_jupyter.errors import ScheduleNotFound
from opspawn_jupyter.model.event import Draft
from opspawn_jupyter.model.firing import Ended
from opspawn_jupyter.model.schedule import Plan, Schedule, Unsettled
from opspawn_jupyter.model.states import EventType, State
from opspawn_jupyter.model.task import Task
from opspawn_jupyter.orchestrator.context import Orchestration
from opspawn_jupyter.orchestrator.schedule_record import Known, change


def left_by(before: Schedule, task: Task, result_digest: str) -> Unsettled:
    """What the task's end means, after what the schedule was ``before`` it."""
    if task.state is not State.SUCCESS:
        return Unsettled(task_id=task.id)
    return Unsettled(
        task_id=task.id,
        is_recovery=before.failures > 0,
        is_change=before.result_digest not in (None, result_digest),
    )


def is_owed(plan: Plan, left: Unsettled) -> bool:
    """Whether somebody would miss it."""
    is_told = (left.is_recovery and plan.on_recovery) or (left.is_change and plan.on_change)
    return plan.has_papers or bool(is_told)


async def left_over(o: Orchestration, schedule: Schedule) -> tuple[Ended, ...]:
    """Ends of which the last server had not done everything."""
    found = [(left, await o.store.task(left.task_id)) for left in schedule.unsettled]
    return tuple(
        Ended(task=task, schedule=schedule, left=left, is_repeated=True)
        for left, task in found
        if task is not None
    )


async def settled(o: Orchestration, ended: Ended) -> None:
    """Nothing is left to be done of the end."""

    async def step(current: Known) -> tuple[Draft, ...]:
        known = current.schedule.unsettled
        rest = tuple(left for left in known if left.task_id != ended.task.id)
        after = replace(current.schedule, unsettled=rest)
        return (current.becomes(EventType.SCHEDULE_ADVANCED, after),) if rest != known else ()

    with suppress(ScheduleNotFound):  # it was deleted meanwhile
        await change(o, ended.schedule.id, step)
