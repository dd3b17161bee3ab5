"""What agents may use together: by all of them in a day, by those of one user in a day, and by
those of one user ever. Days are those of UTC.

What was used is counted from the history, so that a larger budget in the settings lets a run that
ended at the smaller one be resumed. A loop that asks says what its attempt has used: its events may
still be on their way.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC
from typing import Any

from opspawn_jupyter.errors import SettingInvalid
from opspawn_jupyter.model import clock
from opspawn_jupyter.model.agent_door import Allowance
from opspawn_jupyter.model.conversation import Usage
from opspawn_jupyter.model.task import Task
from opspawn_jupyter.orchestrator.agent_sql import ask
from opspawn_jupyter.orchestrator.context import Orchestration
from opspawn_jupyter.settings import Settings

#: As the query's columns have them.
_NAMES = ("max_requests", "max_tokens", "max_cost", "max_tool_calls", "max_seconds")
_WHOSE = {
    "day": "by all agents today",
    "user_day": "by agents of {user} today",
    "user": "by agents of {user}",
}
_TIME = "%Y-%m-%d %H:%M:%S"


def check_agent_limits(settings: Settings) -> None:
    """Raise ``SettingInvalid`` for what is no budget."""
    for whose, limits in settings.agent_limits.items():
        if whose not in _WHOSE or not set(limits) <= {*_NAMES}:
            hint = f"agent_limits maps {', '.join(_WHOSE)} to any of {', '.join(_NAMES)}"
            raise SettingInvalid({whose: limits}, hint=hint)
        values: list[Any] = list(limits.values())  # as the configuration has them
        if not all(isinstance(limit, int | float) and limit > 0 for limit in values):
            raise SettingInvalid({whose: limits}, hint="limits are numbers above 0")


async def allowance(o: Orchestration, task: Task, told: Usage) -> Allowance:
    """Whether the task's agent, whose attempt has used so much, may use more."""
    limits = o.settings.agent_limits
    if not limits:
        return Allowance()
    now = clock.now().astimezone(UTC)
    today = now.replace(hour=0, minute=0, second=0)
    attempt = {"task": task.id, "attempt": task.attempt}
    rows = await ask(o, "used", now=f"{now:{_TIME}}", today=f"{today:{_TIME}}", **attempt)
    unheard = (task.submitted_by, True, True, *_unheard(told, _sum(r for r in rows if r[2])))
    rows = (*rows, unheard)
    used = {
        "day": _sum(row for row in rows if row[1]),
        "user_day": _sum(row for row in rows if row[1] and row[0] == task.submitted_by),
        "user": _sum(row for row in rows if row[0] == task.submitted_by),
    }
    return next(_exceeded(task, limits, used), Allowance())


def _sum(rows: Iterator[tuple[object, ...]]) -> Mapping[str, float]:
    sums = dict.fromkeys(_NAMES, 0.0)
    for row in rows:
        for name, value in zip(_NAMES, row[3:], strict=True):
            sums[name] += float(str(value or 0))
    return sums


def _unheard(told: Usage, heard: Mapping[str, float]) -> Iterator[float]:
    """What of it the history does not know so far, name by name. Time it knows."""
    used = (told.requests, told.tokens, told.cost or 0.0, told.tool_calls, 0.0)
    for name, amount in zip(_NAMES, used, strict=True):
        yield max(0.0, amount - heard[name])


def _exceeded(
    task: Task,
    limits: Mapping[str, Mapping[str, float]],
    used: Mapping[str, Mapping[str, float]],
) -> Iterator[Allowance]:
    for whose, budget in limits.items():
        for name, limit in budget.items():
            amount = used[whose][name]
            if amount >= limit:
                said = _WHOSE[whose].format(user=task.submitted_by)
                what = name.removeprefix("max_").replace("_", " ")
                hint = f"{amount:g} were used {said}, at most {limit:g} are allowed (agent_limits)"
                yield Allowance(exceeded=what, hint=hint)
