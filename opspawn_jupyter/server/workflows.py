"""Keeps every workflow moving: hears durable events, and wakes whoever drives the workflow."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from opspawn_jupyter.model.event import Event
from opspawn_jupyter.model.states import TRANSITIONS, EventType, State
from opspawn_jupyter.model.workflow import WORKFLOW
from opspawn_jupyter.orchestrator.context import Orchestration
from opspawn_jupyter.orchestrator.workflow.drive import drive
from opspawn_jupyter.server.background import Background


class _Inbox:
    """What has moved since the driver last looked."""

    def __init__(self) -> None:
        self._moved: set[str] = set()
        self._wake = asyncio.Event()

    def put(self, task_id: str) -> None:
        self._moved.add(task_id)
        self._wake.set()

    async def take(self, timeout_seconds: float | None) -> frozenset[str]:
        """See ``drive.Inbox``."""
        with suppress(TimeoutError):
            # Not wait_for: before Python 3.12 it may swallow a cancellation.
            async with asyncio.timeout(timeout_seconds):
                await self._wake.wait()
        moved = frozenset(self._moved)
        self._moved.clear()
        self._wake.clear()
        return moved


class Workflows:
    """The drivers of all workflows under way. As a ``Bus`` it hears what moves."""

    def __init__(self) -> None:
        self._o: Orchestration | None = None
        #: By the workflow's id.
        self._inboxes: dict[str, _Inbox] = {}
        #: Workflow of each step's task that has not ended.
        self._parents: dict[str, str] = {}
        #: Workflows that have not ended.
        self._known: set[str] = set()
        self._background = Background()

    def tell(self, events: Sequence[Event]) -> None:
        """Follow tasks of workflows, and pass on what moves them."""
        for event in events:
            if event.type is EventType.SUBMITTED:
                self._meet(event)
            elif event.type in TRANSITIONS or event.type is EventType.CANCEL_REQUESTED:
                self._moved(event)

    async def start(self, o: Orchestration) -> None:
        """Take up what an earlier server left under way, and begin to drive."""
        self._o = o
        for task in await o.store.unfinished():
            if task.kind == WORKFLOW:
                self._known.add(task.id)
            if task.parent_id is not None:
                self._parents[task.id] = task.parent_id
            if task.kind == WORKFLOW and task.state in (State.QUEUED, State.RUNNING):
                self._drive(task.id)

    async def close(self) -> None:
        """Let go; the next server goes on."""
        await self._background.close()

    def _meet(self, event: Event) -> None:
        if event.data["kind"] == WORKFLOW:
            self._known.add(event.task_id)
        parent = event.data.get("parent_id")
        if parent in self._known:
            self._parents[event.task_id] = parent

    def _moved(self, event: Event) -> None:
        transition = TRANSITIONS.get(event.type)
        target = transition.target if transition else None
        parent = self._parents.get(event.task_id)
        for workflow in (parent, event.task_id):
            if workflow in self._inboxes:
                self._inboxes[workflow].put(event.task_id)
        if event.task_id in self._known and target is State.QUEUED:
            self._drive(event.task_id)
        if target is not None and target.is_final:
            self._parents.pop(event.task_id, None)
            self._known.discard(event.task_id)

    def _drive(self, task_id: str) -> None:
        if self._o is None or task_id in self._inboxes:
            return
        inbox = self._inboxes[task_id] = _Inbox()
        work = self._background.start(drive(self._o, task_id, inbox), f"workflow {task_id}")
        work.add_done_callback(lambda _: self._inboxes.pop(task_id, None))
