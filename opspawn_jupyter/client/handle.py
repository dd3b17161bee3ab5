"""One task in the caller's hand: what it is, and what can be done with it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Any, Self

from opspawn_jupyter import errors
from opspawn_jupyter.client import follow as following
from opspawn_jupyter.client import html, outcome
from opspawn_jupyter.client.api import Api
from opspawn_jupyter.client.blocking import Blocking, blocking, chained, iterating
from opspawn_jupyter.client.discovery import Server
from opspawn_jupyter.client.panel import PANEL_MIME, task_panel
from opspawn_jupyter.client.task_text import task_card, task_line
from opspawn_jupyter.model.advance import advance
from opspawn_jupyter.model.event import Event
from opspawn_jupyter.model.run_directory import RunDirectory
from opspawn_jupyter.model.states import State
from opspawn_jupyter.model.task import Cell, Problem, Task

_log = logging.getLogger(__name__)

#: A picture of the task must not keep a cell waiting for a server that does not answer.
_PICTURE_TIMEOUT_SECONDS = 2.0


class TaskFacts:
    """What is known about a task without asking again."""

    #: Where it runs.
    server: Server

    @property
    def task(self) -> Task:
        """The task as it was last heard of."""
        raise NotImplementedError

    @property
    def id(self) -> str:
        """The whole id."""
        return self.task.id

    @property
    def name(self) -> str:
        """The name for people."""
        return self.task.name

    @property
    def kind(self) -> str:
        """What runs it."""
        return self.task.kind

    @property
    def state(self) -> State:
        """Where it stood when it was last heard of."""
        return self.task.state

    @property
    def cells(self) -> tuple[Cell, ...]:
        """What became of each code cell."""
        return self.task.cells

    @property
    def outputs(self) -> Mapping[str, Any]:
        """What it has given with ``step.output`` so far."""
        return self.task.outputs

    @property
    def error(self) -> Problem | None:
        """Why it did not succeed."""
        return self.task.error

    @property
    def run_directory(self) -> str:
        """Its files: an absolute path where the server runs on this machine, else a path from
        the server's root."""
        return str(Path(self.server.root_directory or "", self.task.run_directory))

    @property
    def notebook(self) -> str:
        """Path of the executed notebook, in the run directory."""
        return str(RunDirectory(Path(self.run_directory)).output)

    def __repr__(self) -> str:
        return f"<task {task_line(self.task)}>"


class AsyncTaskHandle(TaskFacts):
    """A task, for callers who await."""

    def __init__(self, api: Api, task: Task) -> None:
        self._api = api
        self._task = task

    @property
    def task(self) -> Task:
        """The task as it was last heard of."""
        return self._task

    @property
    def server(self) -> Server:  # type: ignore[override]  # may move while the handle lives
        """Where it runs."""
        return self._api.server

    async def refresh(self) -> Self:
        """Ask how the task stands."""
        self._task = await self._api.task(self.id)
        return self

    async def wait(self, timeout: float | None = None) -> Self:
        """Wait until the task has ended, or ``timeout`` seconds; its state tells which."""
        self._task = await following.wait(self._api, self.id, timeout)
        return self

    async def result(self, timeout: float | None = None) -> dict[str, Any]:
        """The outputs of the task, once it has succeeded.

        Raises ``TaskFailed``, ``TaskTimedOut``, ``TaskCrashed`` or ``TaskCancelled`` where it did
        not, ``TaskNotFinished`` where ``timeout`` seconds were not enough.
        """
        if not self.state.is_final:
            await self.wait(timeout)
        return outcome.outputs(self.task)

    async def cancel(self) -> Self:
        """Ask the task to end. Raises ``IllegalTransition`` where it has ended already."""
        self._task = await self._api.cancel(self.id)
        return self

    async def retry(self) -> AsyncTaskHandle:
        """A new task that does the same. Raises ``IllegalTransition`` where this one has not
        ended, or has succeeded."""
        return AsyncTaskHandle(self._api, await self._api.retry(self.id))

    async def logs(self, tail: int | None = None) -> str:
        """The readable log so far, or its last ``tail`` lines."""
        return await self._api.logs(self.id, tail=tail)

    async def follow(self, after: int = 0) -> AsyncGenerator[Event, None]:
        """Events as they come, from the first or from ``after`` on, until the task has ended.
        What is known about the task moves with them."""
        async with aclosing(following.follow(self._api, self.id, after=after)) as events:
            async for event in events:
                if event.type.is_durable and event.seq > self._task.seq:
                    self._task = advance(self._task, event)
                yield event

    async def picture(self) -> Task:
        """The task as it stands, or as it was last heard of where nobody answers at once."""
        if self.state.is_final:
            return self.task
        try:
            async with asyncio.timeout(_PICTURE_TIMEOUT_SECONDS):
                await self.refresh()
        except (TimeoutError, errors.OpspawnError):
            _log.debug("task shown as last heard of task_id=%s", self.id)
        return self.task


class TaskHandle(Blocking[AsyncTaskHandle], TaskFacts):
    """A task. Shown in a notebook it is a card with its present state."""

    @property
    def task(self) -> Task:
        """The task as it was last heard of."""
        return self._twin.task

    @property
    def server(self) -> Server:  # type: ignore[override]  # may move while the handle lives
        """Where it runs."""
        return self._twin.server

    refresh = chained(AsyncTaskHandle.refresh)
    wait = chained(AsyncTaskHandle.wait)
    result = blocking(AsyncTaskHandle.result)
    cancel = chained(AsyncTaskHandle.cancel)
    logs = blocking(AsyncTaskHandle.logs)
    follow = iterating(AsyncTaskHandle.follow)
    picture = blocking(AsyncTaskHandle.picture)

    def retry(self) -> TaskHandle:
        """A new task that does the same. Raises ``IllegalTransition`` where this one has not
        ended, or has succeeded."""
        return TaskHandle(blocking(AsyncTaskHandle.retry)(self))

    def _repr_mimebundle_(self, **_: object) -> dict[str, Any]:
        task = self.picture()
        return {
            PANEL_MIME: task_panel(task),
            "text/plain": task_card(task, self.run_directory),
            "text/html": html.task_card(task, self.server, self.notebook),
        }
