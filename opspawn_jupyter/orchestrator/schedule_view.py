"""How schedules stand, for people: with their rule in words and their next due times."""

from __future__ import annotations

from opspawn_jupyter.model import clock
from opspawn_jupyter.model.schedule import Plan, Schedule, ScheduleState, Timing
from opspawn_jupyter.model.schedule_view import Preview, ScheduleList, ScheduleView
from opspawn_jupyter.model.task import Submission
from opspawn_jupyter.orchestrator.context import Orchestration
from opspawn_jupyter.orchestrator.schedule_record import every_schedule, find_known
from opspawn_jupyter.scheduling.check import check_timing
from opspawn_jupyter.scheduling.due import next_times
from opspawn_jupyter.scheduling.words import words

_NEXT = 5


async def schedules(o: Orchestration) -> ScheduleList:
    """All of them, by name."""
    found = [current.schedule for current in await every_schedule(o)]
    return ScheduleList(
        schedules=tuple(view(one) for one in sorted(found, key=lambda one: one.name))
    )


async def find_schedule(o: Orchestration, reference: str, count: int = _NEXT) -> ScheduleView:
    """The one of this name or id, with so many due times. Raises ``ScheduleNotFound``."""
    return view((await find_known(o, reference)).schedule, count)


def preview(timing: Timing, count: int = _NEXT) -> Preview:
    """What the timing means. Raises ``InvalidRequest`` for one that cannot be."""
    now = clock.now()
    check_timing(timing, now)
    plan = Plan(name="preview", submission=Submission(spec={}), timing=timing)
    return Preview(words=words(plan), next_due_at=next_times(timing, now, count))


def view(schedule: Schedule, count: int = _NEXT, token: str | None = None) -> ScheduleView:
    """The schedule for people."""
    is_active = schedule.state is ScheduleState.ACTIVE
    since = max(schedule.accounted_until, clock.now())
    times = next_times(schedule.plan.timing, since, count) if is_active else ()
    return ScheduleView(
        schedule=schedule, words=words(schedule.plan), next_due_at=times, token=token
    )
