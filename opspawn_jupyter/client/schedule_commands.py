"""What the verbs of ``schedule`` do."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from opspawn_jupyter.client.client import Client
from opspawn_jupyter.client.handle import TaskHandle
from opspawn_jupyter.client.parser import Options
from opspawn_jupyter.client.schedule_options import edit_of, plan_of
from opspawn_jupyter.model.schedule import Schedule
from opspawn_jupyter.model.schedule_view import DueAnswer, FiringList, ScheduleList, ScheduleView

ScheduleAnswer = ScheduleView | ScheduleList | FiringList | DueAnswer | Schedule | TaskHandle


def schedule_answer(client: Client, options: Options) -> ScheduleAnswer:
    """Do what the verb says. Raises ``OpspawnError``."""
    return _VERBS[options.verb](client, options)


def _backfill(client: Client, options: Options) -> FiringList:
    return client.schedules.backfill(options.schedule, options.start, options.end)


_VERBS: Mapping[str, Callable[[Client, Options], ScheduleAnswer]] = {
    "add": lambda client, options: client.schedules.create(plan_of(options)),
    "list": lambda client, _: client.schedules.list(),
    "show": lambda client, options: client.schedules.get(options.schedule),
    "next": lambda client, options: client.schedules.get(options.schedule, next=options.count),
    "pause": lambda client, options: client.schedules.pause(options.schedule),
    "resume": lambda client, options: client.schedules.resume(options.schedule),
    "trigger": lambda client, options: client.attach(client.schedules.trigger(options.schedule)),
    "edit": lambda client, options: client.schedules.edit(
        options.schedule, edit_of(options).changes, reason=options.reason
    ),
    "delete": lambda client, options: client.schedules.delete(options.schedule),
    "backfill": _backfill,
    "history": lambda client, options: client.schedules.history(
        options.schedule, limit=options.limit
    ),
    "why": lambda client, options: client.schedules.why(options.schedule, options.time),
    "token": lambda client, options: client.schedules.renew_token(options.schedule),
}
