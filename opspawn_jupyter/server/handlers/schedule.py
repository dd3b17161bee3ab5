"""Schedules: make, change, look at, and start them."""

from __future__ import annotations

import asyncio
from http import HTTPStatus

from jupyter_server.auth.decorator import allow_unauthenticated, authorized
from tornado import web

from opspawn_jupyter.errors import InvalidRequest
from opspawn_jupyter.model.past_job import PastJob
from opspawn_jupyter.model.schedule import Plan, Timing
from opspawn_jupyter.model.schedule_view import Called, Edit, FiringList, Period
from opspawn_jupyter.orchestrator import schedule as verbs
from opspawn_jupyter.orchestrator.past_job import take_in
from opspawn_jupyter.orchestrator.schedule_backfill import backfill
from opspawn_jupyter.orchestrator.schedule_edit import edit
from opspawn_jupyter.orchestrator.schedule_history import history, why
from opspawn_jupyter.orchestrator.schedule_record import find_known
from opspawn_jupyter.orchestrator.schedule_view import find_schedule, preview, schedules
from opspawn_jupyter.orchestrator.schedule_webhook import call, renew_token
from opspawn_jupyter.server.handlers.base import ApiHandler
from opspawn_jupyter.server.schemas import HistoryQuery, NextQuery, WhyQuery

#: The header that opens a webhook; kept out of addresses, which servers log.
TOKEN_HEADER = "X-Opspawn-Token"  # noqa: S105 (the name of a header)


class SchedulesHandler(ApiHandler):
    """All schedules."""

    @web.authenticated
    @authorized
    async def post(self) -> None:
        """Make one."""
        o = await self.orchestration()
        made = await verbs.create(o, await self.body(Plan), self.caller)
        await self.answer(made, HTTPStatus.CREATED)

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """List them."""
        await self.answer(await schedules(await self.orchestration()))


class ScheduleHandler(ApiHandler):
    """One schedule, named by its name or its id."""

    @web.authenticated
    @authorized
    async def get(self, reference: str) -> None:
        """Give it as it stands, with its next due times."""
        o, query = await self.orchestration(), self.query(NextQuery)
        await self.answer(await find_schedule(o, reference, query.next))

    @web.authenticated
    @authorized
    async def patch(self, reference: str) -> None:
        """Change its plan."""
        o = await self.orchestration()
        await self.answer(await edit(o, reference, await self.body(Edit), self.caller))

    @web.authenticated
    @authorized
    async def delete(self, reference: str) -> None:
        """End it; its tasks and its history stay."""
        await self.answer(await verbs.delete(await self.orchestration(), reference))


class SchedulePauseHandler(ApiHandler):
    """A pause."""

    @web.authenticated
    @authorized
    async def post(self, reference: str) -> None:
        """Begin it."""
        await self.answer(await verbs.pause(await self.orchestration(), reference, self.caller))


class ScheduleResumeHandler(ApiHandler):
    """The end of a pause."""

    @web.authenticated
    @authorized
    async def post(self, reference: str) -> None:
        """End it."""
        await self.answer(await verbs.resume(await self.orchestration(), reference))


class ScheduleTriggerHandler(ApiHandler):
    """A task now."""

    @web.authenticated
    @authorized
    async def post(self, reference: str) -> None:
        """Submit it."""
        o = await self.orchestration()
        task = await verbs.start(o, reference, self.caller)
        await self.answer(task, HTTPStatus.CREATED)


class ScheduleBackfillHandler(ApiHandler):
    """Tasks for a period."""

    @web.authenticated
    @authorized
    async def post(self, reference: str) -> None:
        """Submit them."""
        o, period = await self.orchestration(), await self.body(Period)
        name = (await find_known(o, reference)).schedule.name
        firings = await backfill(o, reference, period, self.caller)
        await self.answer(FiringList(schedule=name, firings=firings), HTTPStatus.CREATED)


class ScheduleHistoryHandler(ApiHandler):
    """What became of due times."""

    @web.authenticated
    @authorized
    async def get(self, reference: str) -> None:
        """List it, newest first."""
        o, query = await self.orchestration(), self.query(HistoryQuery)
        await self.answer(await history(o, reference, query.limit, query.before))


class ScheduleWhyHandler(ApiHandler):
    """What became of one due time."""

    @web.authenticated
    @authorized
    async def get(self, reference: str) -> None:
        """Say it in a sentence."""
        o, query = await self.orchestration(), self.query(WhyQuery)
        await self.answer(await why(o, reference, query.at))


class SchedulePreviewHandler(ApiHandler):
    """What a timing would mean."""

    @web.authenticated
    @authorized
    async def post(self) -> None:
        """Say it in words, with the next due times."""
        timing = await self.body(Timing)
        await self.answer(await asyncio.to_thread(preview, timing))


class ScheduleTokenHandler(ApiHandler):
    """The token of a schedule's webhook."""

    @web.authenticated
    @authorized
    async def post(self, reference: str) -> None:
        """Make another one."""
        await self.answer(await renew_token(await self.orchestration(), reference))


class PastJobsHandler(ApiHandler):
    """Runs that another scheduler made."""

    @web.authenticated
    @authorized
    async def post(self) -> None:
        """Take one into the history."""
        o, past = await self.orchestration(), await self.body(PastJob)
        await self.answer(await take_in(o, past, self.caller), HTTPStatus.CREATED)


class ScheduleWebhookHandler(ApiHandler):
    """The door for other programs: it knows the schedule's own token, and nothing of Jupyter's."""

    # Programs are no sign of a person at work.
    _track_activity = False

    def check_xsrf_cookie(self) -> None:
        """No cookie opens this door, so there is none to be forged."""

    @allow_unauthenticated
    async def post(self, reference: str) -> None:
        """Start a task, where the token is right."""
        token = self.request.headers.get(TOKEN_HEADER, "")
        if not token.isascii():
            raise InvalidRequest(hint=f"{TOKEN_HEADER} holds the token as it was shown")
        task = await call(await self.orchestration(), reference, token)
        called = Called(task_id=task.id if task else None)
        await self.answer(called, HTTPStatus.ACCEPTED)
