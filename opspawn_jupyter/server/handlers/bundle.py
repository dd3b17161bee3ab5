"""The sealed evidence of an audit."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

from jupyter_server.auth.decorator import authorized
from tornado import web

from opspawn_jupyter.errors import InvalidRequest, TaskNotFinished, Unavailable
from opspawn_jupyter.model import clock
from opspawn_jupyter.model.event import Event
from opspawn_jupyter.model.run_directory import RunDirectory
from opspawn_jupyter.model.signature import Signature
from opspawn_jupyter.model.states import State
from opspawn_jupyter.model.task import Task
from opspawn_jupyter.orchestrator.signature import signatures
from opspawn_jupyter.ports import Store
from opspawn_jupyter.server import run_files
from opspawn_jupyter.server.handlers.base import ApiHandler
from opspawn_jupyter.server.handlers.task import TaskHandler
from opspawn_jupyter.server.schemas import PeriodQuery

_PAGE = 1000


class TaskBundleHandler(TaskHandler):
    """A zip file that others can verify."""

    @web.authenticated
    @authorized
    async def get(self, reference: str) -> None:
        """Give it, once the audit has ended."""
        task = await self.find_task(reference)
        if task.kind != "audit":
            raise InvalidRequest(task.kind, hint="only audits are sealed; audit the task first")
        if task.state is not State.SUCCESS:
            raise TaskNotFinished(hint=f"it is {task.state.value}")
        o = await self.orchestration()
        directory = await self.run_directory(task)
        own = await o.store.events(after=task.seq, task_id=task.id)
        events = await _events_up_to(o.store, max([task.seq, *(event.seq for event in own)]))
        signed = await signatures(o, task)
        sealed = await asyncio.to_thread(
            _sealed, task, directory, events, signed, o.settings.state_directory
        )
        self.set_attachment_header(f"{task.name}.zip")
        await self.finish(sealed, set_content_type="application/zip")


class PeriodHandler(ApiHandler):
    """The history of a period, for whoever has to look at it."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Give it as a zip file that others can verify."""
        query = self.query(PeriodQuery)
        since, until = _aware(query.since), _aware(query.until or clock.now())
        if until <= since:
            raise InvalidRequest(hint="a period ends after it begins: until is not after since")
        o = await self.orchestration()
        events = await _events_up_to(o.store, await o.store.last_seq())
        sealed = await asyncio.to_thread(
            _sealed_period, since, until, events, o.settings.state_directory
        )
        self.set_header("Content-Disposition", f'attachment; filename="{_period_name(since)}"')
        await self.finish(sealed, set_content_type="application/zip")


class TreeHeadHandler(ApiHandler):
    """The history in one hash, for whoever wants to keep it."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Give it as it stands."""
        system = await self.service.running()
        await self.answer(await system.anchors.head())


def _period_name(since: datetime) -> str:
    return f"history-from-{since:%Y-%m-%d}.zip"


def _aware(given: datetime) -> datetime:
    """Times without a zone are meant in UTC, as all times of the server are."""
    return given if given.tzinfo is not None else given.replace(tzinfo=UTC)


def _sealed_period(
    since: datetime, until: datetime, events: Sequence[Event], state_directory: Path
) -> bytes:
    period, signing = needing_extra("period", "signing")
    # By its place in the journal, so that a clock that was set back leaves no gap.
    inside = [event.seq for event in events if since <= event.at < until]
    chosen = events[inside[0] - 1 : inside[-1]] if inside else []
    asked = period.Period(
        since=since, until=until, events=chosen, hashes=[event.hash for event in events]
    )
    sealed: bytes = period.sealed(asked, signing.key_in(state_directory))
    return sealed


async def _events_up_to(store: Store, seq: int) -> list[Event]:
    """The whole history to the audit's end: the proofs are made over it."""
    found: list[Event] = []
    while len(found) < seq:
        page = await store.events(after=len(found), limit=_PAGE)
        if not page:
            break
        found += page
    return found[:seq]


def _sealed(
    task: Task,
    directory: RunDirectory,
    events: Sequence[Event],
    signed: tuple[Signature, ...],
    state_directory: Path,
) -> bytes:
    bundle, signing = needing_extra("bundle", "signing")
    artifacts = {
        one.path: run_files.regular_file(directory.artifacts, one.path).read_bytes()
        for one in run_files.artifacts(directory)
    }
    journal = bundle.Journal(
        hashes=[event.hash for event in events],
        events=[event for event in events if event.task_id == task.id],
        signatures=signed,
    )
    key = signing.key_in(state_directory)
    notebook = directory.input.read_bytes()
    sealed: bytes = bundle.sealed(task, artifacts, notebook, journal, key)
    return sealed


def needing_extra(*names: str) -> tuple[Any, ...]:
    """Modules that need cryptography, which comes with an extra and is needed here only."""
    try:
        return tuple(import_module(f"opspawn_jupyter.audit.{name}") for name in names)
    except ImportError as missing:
        hint = "install the extra: pip install 'opspawn-jupyter[audit]'"
        raise Unavailable(str(missing.name), hint=hint) from missing
