"""Tells a lineage service of runs: OpenLineage events, into a file or by HTTP POST.

START and one terminal event for each task that began. A small file keeps the seq up to which all
was told, so that a server which was stopped goes on from there: an event comes at least once.
Events are told one after the other, in order; telling the bus itself never waits.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest

from opspawn_jupyter.audit.lineage import run_lineage
from opspawn_jupyter.errors import SettingInvalid, Unavailable
from opspawn_jupyter.files import write_json
from opspawn_jupyter.model.event import Event
from opspawn_jupyter.model.lineage import Parent, ended, started
from opspawn_jupyter.model.states import TRANSITIONS, EventType
from opspawn_jupyter.model.task import Task
from opspawn_jupyter.ports import Store
from opspawn_jupyter.settings import Settings

logger = logging.getLogger(__name__)

_TIMEOUT_SECONDS = 10.0
_PAUSES_SECONDS = (1.0, 4.0, 16.0)
_PAGE = 1_000
_FAREWELL_SECONDS = 2.0
#: Events that begin a run.
_BEGAN = frozenset({EventType.STARTED, EventType.REUSED})


class LineageBus:
    """A ``Bus`` that tells of runs where ``openlineage`` in the settings says."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._target = settings.openlineage
        self._settings = settings
        self._file = settings.state_directory / "openlineage.json"
        self._told = 0
        self._waiting: asyncio.Queue[Event] = asyncio.Queue()
        self._work: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Go on where the last server stopped. Does nothing where nobody is to be told."""
        if not self._target:
            return
        self._told = await asyncio.to_thread(self._read, await self._store.last_seq())
        last = self._told
        while events := await self._store.events(after=last, limit=_PAGE):
            self.tell(events)
            last = events[-1].seq
        self._work = asyncio.get_running_loop().create_task(self._keep_telling())

    def tell(self, events: Sequence[Event]) -> None:
        """Take note of what begins and ends."""
        if self._target:
            for event in events:
                if event.type in _BEGAN or _is_end(event):
                    self._waiting.put_nowait(event)

    async def close(self) -> None:
        """Give what waits a moment, and leave the rest to the next server."""
        if self._work is None:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(_FAREWELL_SECONDS):
                await self._waiting.join()
        self._work.cancel()
        await asyncio.gather(self._work, return_exceptions=True)

    async def _keep_telling(self) -> None:
        while True:
            event = await self._waiting.get()
            try:
                await self._tell(event)
            except Exception:  # one event less; the next ones are told
                logger.exception("lineage not told seq=%s", event.seq)
            finally:
                self._waiting.task_done()

    async def _tell(self, event: Event) -> None:
        if event.seq <= self._told:
            return
        for said in await self._said(event):
            await self._send(said)
        self._told = event.seq
        await asyncio.to_thread(write_json, self._file, {"told": event.seq}, mode=0o600)

    async def _said(self, event: Event) -> list[Mapping[str, Any]]:
        """What there is to say about the event."""
        try:
            task = await self._store.task(event.task_id)
        except Unavailable as problem:
            logger.warning("lineage not told task_id=%s reason=%s", event.task_id, problem)
            return []
        if task is None or not _is_told(event, task):
            return []
        parent = await self._parent(task)
        run = await asyncio.to_thread(run_lineage, task, self._settings.root_directory, parent)
        namespace = self._settings.openlineage_namespace
        begin = started(run, event.at, namespace, parent)
        if event.type is EventType.STARTED:
            return [begin]
        why = task.error.message if task.error is not None else ""
        end = ended(run, event.at, namespace, parent, why)
        return [begin, end] if event.type is EventType.REUSED else [end]

    async def _parent(self, task: Task) -> Parent | None:
        above = await self._store.task(task.parent_id) if task.parent_id else None
        return Parent(task_id=above.id, job=above.name) if above is not None else None

    async def _send(self, said: Mapping[str, Any]) -> None:
        if "://" not in self._target:
            await asyncio.to_thread(self._append, said)
            return
        for pause in (*_PAUSES_SECONDS, None):
            problem = await self._post(said)
            if problem is None:
                return
            if pause is None:
                logger.error("lineage not delivered reason=%s", problem)
                return
            await asyncio.sleep(pause)

    def _append(self, said: Mapping[str, Any]) -> None:
        path = self._settings.root_directory / Path(self._target).expanduser()
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(said, ensure_ascii=False) + "\n")

    async def _post(self, said: Mapping[str, Any]) -> str | None:
        """Why it was not taken; None where it was."""
        headers = {"Content-Type": "application/json"}
        if self._settings.openlineage_api_key:
            headers["Authorization"] = f"Bearer {self._settings.openlineage_api_key}"
        request = HTTPRequest(
            self._target,
            method="POST",
            body=json.dumps(said),
            headers=headers,
            follow_redirects=False,
            request_timeout=_TIMEOUT_SECONDS,
        )
        try:
            await AsyncHTTPClient().fetch(request)
        except HTTPClientError as answer:
            return f"status {answer.code}"
        except (OSError, ValueError, TimeoutError) as failure:
            return type(failure).__name__
        return None

    def _read(self, last_seq: int) -> int:
        """Up to where all was told; all of it where there is no file yet."""
        try:
            return min(int(json.loads(self._file.read_bytes())["told"]), last_seq)
        except FileNotFoundError:
            return last_seq
        except (OSError, ValueError, KeyError, TypeError):
            logger.exception("lineage's file cannot be read; older events are not told")
            return last_seq


def require_target(target: str) -> None:
    """Raises ``SettingInvalid`` for what can be told nothing."""
    if "://" in target and not target.startswith(("http://", "https://")):
        raise SettingInvalid(target, hint="openlineage is a file, or an http(s) address")


def _is_end(event: Event) -> bool:
    transition = TRANSITIONS.get(event.type)
    return transition is not None and transition.target.is_final


def _is_told(event: Event, task: Task) -> bool:
    """A run is begun once, by its first attempt, and only one that began is ended."""
    if event.type is EventType.STARTED:
        return event.attempt == 1
    return event.type is EventType.REUSED or task.attempt > 0
