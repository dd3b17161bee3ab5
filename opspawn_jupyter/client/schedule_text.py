"""Schedules as text for people: times in the schedule's own zone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from opspawn_jupyter.client.task_text import columns
from opspawn_jupyter.model.firing import Firing
from opspawn_jupyter.model.ids import short
from opspawn_jupyter.model.schedule import Schedule, ScheduleState, Source
from opspawn_jupyter.model.schedule_view import DueAnswer, FiringList, ScheduleView

SCHEDULE_HEADINGS = ("name", "state", "when", "next", "failures")
_SOURCES = {None: "", Source.PINNED: ", pinned source", Source.LINKED: ", current file"}
FIRING_HEADINGS = ("due (UTC)", "cause", "what became of it", "why")


def schedule_card(view: ScheduleView) -> str:
    """All that matters about the schedule, in a few lines."""
    schedule, plan = view.schedule, view.schedule.plan
    asked = plan.submission.spec
    what = asked.get("notebook") or asked.get("path") or plan.submission.kind
    lines = [
        f"{plan.name}  {_state(schedule)}",
        f"runs {what}{_source(schedule)}",
        f"when: {view.words}",
        *(f"next: {local(due, plan.timing.timezone)}" for due in view.next_due_at),
        f"overlap: {plan.overlap.value}, catch up: {plan.catch_up.value}",
    ]
    if schedule.edited_by:
        why = f": {schedule.edit_reason}" if schedule.edit_reason else ""
        lines.append(f"last edited by {schedule.edited_by}{why}")
    if schedule.last_task_id:
        lines.append(f"last task: {short(schedule.last_task_id)}")
    if schedule.failures:
        lines.append(f"{schedule.failures} in a row did not succeed")
    if view.token:
        lines.append(f"webhook token, shown only now: {view.token}")
    return "\n".join(lines)


def _state(schedule: Schedule) -> str:
    reason = f" ({schedule.state_reason})" if schedule.state_reason else ""
    return f"{schedule.state.value}{reason}"


def _source(schedule: Schedule) -> str:
    if schedule.plan.source is Source.PINNED:
        return f", as it was pinned ({(schedule.pinned_sha256 or '')[:12]})"
    return ", as the file is at the time"


def schedule_list(views: Sequence[ScheduleView]) -> str:
    """A line for each schedule, under a heading."""
    if not views:
        return "no schedules"
    return columns(SCHEDULE_HEADINGS, [schedule_row(view) for view in views])


def schedule_row(view: ScheduleView) -> tuple[str, ...]:
    """The schedule's values under ``SCHEDULE_HEADINGS``."""
    schedule = view.schedule
    zone = schedule.plan.timing.timezone
    following = local(view.next_due_at[0], zone) if view.next_due_at else ""
    failures = str(schedule.failures) if schedule.failures else ""
    return (schedule.name, schedule.state.value, view.words, following, failures)


def firing_list(listed: FiringList) -> str:
    """A line for each firing, newest first."""
    if not listed.firings:
        return "nothing was due yet"
    return columns(FIRING_HEADINGS, [firing_row(firing) for firing in listed.firings])


def firing_row(firing: Firing) -> tuple[str, ...]:
    """The firing's values under ``FIRING_HEADINGS``."""
    due = f"{firing.due_at:%Y-%m-%d %H:%M:%S}"
    if firing.due_at != firing.last_due_at:
        count = "many" if firing.count is None else str(firing.count)
        due = f"{due} … {firing.last_due_at:%Y-%m-%d %H:%M:%S} ({count})"
    if firing.task_id is not None:
        task = f"task {short(firing.task_id)}{_SOURCES[firing.source]}"
        return (due, firing.cause.value, task, firing.message)
    reason = firing.reason.value if firing.reason else ""
    return (due, firing.cause.value, "no task", f"{reason} {firing.message}".strip())


def due_answer(answer: DueAnswer) -> str:
    """What became of a due time."""
    return f"{answer.schedule} at {answer.due_at:%Y-%m-%d %H:%M UTC}: {answer.message}"


def deleted(schedule: Schedule) -> str:
    """What deleting it came to."""
    running = len(schedule.unfinished)
    more = f"; {running} of its tasks go on" if running else ""
    word = "deleted" if schedule.state is ScheduleState.DELETED else schedule.state.value
    return f"{schedule.name} is {word}{more}"


def local(moment: datetime, zone: str) -> str:
    """The moment in the zone, as ``Thu 2026-11-26 06:00 CET``; in UTC where this machine does not
    know the zone."""
    try:
        shown = moment.astimezone(ZoneInfo(zone))
    except (ZoneInfoNotFoundError, ValueError):
        shown = moment
    seconds = f"{shown:%H:%M:%S}" if shown.second else f"{shown:%H:%M}"
    return f"{shown:%a %Y-%m-%d} {seconds} {shown:%Z}"
