"""Schedules, from Python: ``connect().schedules``."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from os import PathLike
from typing import Any
from urllib.parse import quote

from opspawn_jupyter.client.api import Api
from opspawn_jupyter.client.blocking import Blocking, blocking
from opspawn_jupyter.client.submission import notebook_submission
from opspawn_jupyter.model import wire
from opspawn_jupyter.model.past_job import PastJob, TakenIn
from opspawn_jupyter.model.schedule import Plan, Schedule, Timing
from opspawn_jupyter.model.schedule_view import (
    DueAnswer,
    Edit,
    FiringList,
    Period,
    Preview,
    ScheduleList,
    ScheduleView,
)
from opspawn_jupyter.model.task import Task

_BACKFILL_TIMEOUT_SECONDS = 600.0


class AsyncSchedules:
    """The schedules of one server, for callers who await. ``reference`` is a name or an id."""

    def __init__(self, api: Api) -> None:
        self._api = api

    async def add(
        self,
        /,
        notebook: str | PathLike[str],
        *,
        name: str,
        timing: Timing,
        parameters: Mapping[str, Any] | None = None,
        **plan: Any,
    ) -> ScheduleView:
        """A schedule of a notebook. ``plan`` are further fields of ``Plan``, as ``overlap``."""
        submission = notebook_submission(notebook, parameters=parameters)
        return await self.create(Plan(name=name, submission=submission, timing=timing, **plan))

    async def create(self, plan: Plan) -> ScheduleView:
        """The schedule, accepted and durable. Raises ``InvalidRequest`` or ``NotFound`` where its
        tasks would be refused, ``KeyTaken`` where its name has been given."""
        return await self._view("POST", "schedules", body=wire.encode(plan))

    async def list(self) -> ScheduleList:
        """All schedules by name."""
        return wire.decode(ScheduleList, await self._api.ask("GET", "schedules"))

    async def get(self, reference: str, *, next: int = 5) -> ScheduleView:  # noqa: A002 (as in the address)
        """One as it stands, with its next due times."""
        return await self._view("GET", _path(reference), query={"next": next})

    async def edit(
        self, reference: str, changes: Mapping[str, Any], *, reason: str = ""
    ) -> ScheduleView:
        """The schedule with these fields of its plan changed; the history keeps the reason. Raises
        as ``create`` does."""
        body = wire.encode(Edit(changes=changes, reason=reason))
        return await self._view("PATCH", _path(reference), body=body)

    async def pause(self, reference: str) -> ScheduleView:
        """Not due any more, until it is resumed."""
        return await self._view("POST", f"{_path(reference)}/pause")

    async def resume(self, reference: str) -> ScheduleView:
        """Due again."""
        return await self._view("POST", f"{_path(reference)}/resume")

    async def renew_token(self, reference: str) -> ScheduleView:
        """Another token for its webhook; the one before opens nothing any more."""
        return await self._view("POST", f"{_path(reference)}/token")

    async def delete(self, reference: str) -> Schedule:
        """End it; its tasks and its history stay."""
        return wire.decode(Schedule, await self._api.ask("DELETE", _path(reference)))

    async def trigger(self, reference: str) -> Task:
        """A task now."""
        return wire.decode(Task, await self._api.ask("POST", f"{_path(reference)}/trigger"))

    async def backfill(self, reference: str, start: datetime, end: datetime) -> FiringList:
        """Tasks for the due times of a period that have none."""
        answer = await self._api.ask(
            "POST",
            f"{_path(reference)}/backfill",
            body=wire.encode(Period(start=start, end=end)),
            timeout_seconds=_BACKFILL_TIMEOUT_SECONDS,
        )
        return wire.decode(FiringList, answer)

    async def history(
        self, reference: str, *, limit: int = 50, before: str | None = None
    ) -> FiringList:
        """What became of its due times, newest first."""
        query = {"limit": limit, "before": before}
        answer = await self._api.ask("GET", f"{_path(reference)}/history", query=query)
        return wire.decode(FiringList, answer)

    async def why(self, reference: str, at: datetime) -> DueAnswer:
        """What became of a due time; in the schedule's own zone where it has no offset."""
        answer = await self._api.ask("GET", f"{_path(reference)}/why", query={"at": at.isoformat()})
        return wire.decode(DueAnswer, answer)

    async def preview(self, timing: Timing) -> Preview:
        """What a timing means, in words and times."""
        answer = await self._api.ask("POST", "timings", body=wire.encode(timing))
        return wire.decode(Preview, answer)

    async def take_in(self, past: PastJob) -> TakenIn:
        """Another scheduler's past run as a task of the history, once."""
        return wire.decode(
            TakenIn, await self._api.ask("POST", "past-jobs", body=wire.encode(past))
        )

    async def _view(self, method: str, path: str, **more: Any) -> ScheduleView:
        return wire.decode(ScheduleView, await self._api.ask(method, path, **more))


class Schedules(Blocking[AsyncSchedules]):
    """The schedules of one server."""

    add = blocking(AsyncSchedules.add)
    create = blocking(AsyncSchedules.create)
    list = blocking(AsyncSchedules.list)
    get = blocking(AsyncSchedules.get)
    edit = blocking(AsyncSchedules.edit)
    pause = blocking(AsyncSchedules.pause)
    resume = blocking(AsyncSchedules.resume)
    renew_token = blocking(AsyncSchedules.renew_token)
    delete = blocking(AsyncSchedules.delete)
    trigger = blocking(AsyncSchedules.trigger)
    backfill = blocking(AsyncSchedules.backfill)
    history = blocking(AsyncSchedules.history)
    why = blocking(AsyncSchedules.why)
    preview = blocking(AsyncSchedules.preview)
    take_in = blocking(AsyncSchedules.take_in)


def _path(reference: str) -> str:
    return f"schedules/{quote(reference, safe='')}"
