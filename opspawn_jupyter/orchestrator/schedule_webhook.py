"""The door of a schedule for other programs, and the token that opens it."""

from __future__ import annotations

import secrets
from dataclasses import replace
from hashlib import sha256

from opspawn_jupyter.errors import InvalidRequest, NotAuthenticated, ScheduleNotFound
from opspawn_jupyter.model.event import Draft
from opspawn_jupyter.model.firing import Cause
from opspawn_jupyter.model.schedule_view import ScheduleView
from opspawn_jupyter.model.states import EventType
from opspawn_jupyter.model.task import Task
from opspawn_jupyter.orchestrator.context import Orchestration
from opspawn_jupyter.orchestrator.schedule_outcome import trigger
from opspawn_jupyter.orchestrator.schedule_record import Known, change, find_known
from opspawn_jupyter.orchestrator.schedule_view import view


def new_token() -> tuple[str, str]:
    """A token to be shown once, and what is kept of it."""
    token = secrets.token_urlsafe(24)
    return token, _digest(token)


async def call(o: Orchestration, reference: str, token: str) -> Task | None:
    """A task, where the token is that of the schedule's webhook. Raises ``NotAuthenticated``."""
    try:
        schedule = (await find_known(o, reference)).schedule
    except ScheduleNotFound:  # said no louder than a wrong token
        expected = None
    else:
        expected = schedule.token_sha256 if schedule.plan.webhook else None
    if not secrets.compare_digest(_digest(token), expected or ""):
        raise NotAuthenticated(hint="a schedule's webhook is opened by the schedule's own token")
    return await trigger(o, reference, Cause.WEBHOOK, by="webhook")


async def renew_token(o: Orchestration, reference: str) -> ScheduleView:
    """Another token for the webhook; the one before opens nothing any more."""
    token, digest = new_token()

    async def step(current: Known) -> tuple[Draft, ...]:
        if not current.schedule.plan.webhook:
            hint = "it has no webhook; edit it to have one"
            raise InvalidRequest(current.schedule.name, hint=hint)
        after = replace(current.schedule, token_sha256=digest)
        return (current.becomes(EventType.SCHEDULE_EDITED, after),)

    return view(await change(o, reference, step), token=token)


def _digest(token: str) -> str:
    return sha256(token.encode()).hexdigest()
