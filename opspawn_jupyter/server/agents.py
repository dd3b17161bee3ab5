"""Lets agents go on when the tasks that they wait for have ended, and ends those that nobody waits
for any more."""

from __future__ import annotations

from collections.abc import Sequence

from opspawn_jupyter.model.agent import AGENT
from opspawn_jupyter.model.event import Event
from opspawn_jupyter.model.states import TRANSITIONS, EventType, State
from opspawn_jupyter.orchestrator.agent_child import abandon, abandon_after, wake
from opspawn_jupyter.orchestrator.context import Orchestration
from opspawn_jupyter.server.background import Background


class Agents:
    """The agents that have submitted tasks. As a ``Bus`` it hears what becomes of those."""

    def __init__(self) -> None:
        self._o: Orchestration | None = None
        #: Agents that have not ended.
        self._known: set[str] = set()
        #: Agent of each task that has not ended.
        self._parents: dict[str, str] = {}
        self._background = Background()

    def tell(self, events: Sequence[Event]) -> None:
        """See ``ports.Bus``."""
        for event in events:
            if event.type is EventType.SUBMITTED:
                self._meet(event.task_id, event.data["kind"], event.data.get("parent_id"))
            elif event.type in TRANSITIONS:
                self._moved(event.task_id, TRANSITIONS[event.type].target)

    async def start(self, o: Orchestration) -> None:
        """Take up what an earlier server left."""
        self._o = o
        unfinished = await o.store.unfinished()
        for task in unfinished:
            self._meet(task.id, task.kind, task.parent_id)
        for task in unfinished:
            if task.id in self._known and task.state is State.WAITING:
                await wake(o, task.id)
            elif task.parent_id and task.parent_id not in self._known:
                await abandon_after(o, task.parent_id)

    async def close(self) -> None:
        """Let go."""
        await self._background.close()

    def _meet(self, task_id: str, kind: str, parent_id: str | None) -> None:
        if kind == AGENT:
            self._known.add(task_id)
        if parent_id in self._known:
            self._parents[task_id] = parent_id

    def _moved(self, task_id: str, state: State) -> None:
        if self._o is None:
            return
        if task_id in self._known and state is State.WAITING:
            self._background.start(wake(self._o, task_id), "wake agent")
        if not state.is_final:
            return
        if parent := self._parents.pop(task_id, None):
            self._background.start(wake(self._o, parent), "wake agent")
        if task_id in self._known:
            self._known.discard(task_id)
            if task_id in self._parents.values():
                self._background.start(abandon(self._o, task_id), "abandon tasks of an agent")
