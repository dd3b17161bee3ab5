"""Tools that are tasks: notebooks, workflows and other agents, which the server runs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from opspawn_jupyter.agentkit.doors import acted
from opspawn_jupyter.agentkit.observation import cut
from opspawn_jupyter.agentkit.tools import Checked, Result
from opspawn_jupyter.agentkit.waiting import Waits
from opspawn_jupyter.errors import InvalidRequest
from opspawn_jupyter.model import wire
from opspawn_jupyter.model.agent import Act
from opspawn_jupyter.model.agent_door import Child, ChildRequest
from opspawn_jupyter.model.states import State
from opspawn_jupyter.ports import Workbench

#: So long an attempt stays beside a task that runs before it gives its worker free.
_PATIENCE_SECONDS = 20.0
#: The same for one that has not begun: it may need that very worker.
_QUEUED_PATIENCE_SECONDS = 2.0
_SHORTEST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 1.0
#: What of a task's outputs is put into a cell; a larger one is looked at in its run directory.
_LONGEST_VALUE = 100_000


class Delegation(Protocol):
    """The server's side."""

    async def delegate(self, request: ChildRequest) -> Child:
        """Submit the task of a call, once however often it is asked. Raises ``InvalidRequest``."""

    async def child(self, task_id: str) -> Child:
        """It as it stands."""


class TaskDoor:
    """A task for each call. Its outputs become a variable in the kernel."""

    def __init__(
        self,
        bench: Workbench,
        delegation: Delegation,
        remaining: Callable[[], Mapping[str, float]],
    ) -> None:
        self._bench = bench
        self._delegation = delegation
        self._remaining = remaining

    async def use(self, checked: Checked, recorded: Result | None) -> Result:
        """See ``Door``. Raises ``Waits`` where it takes long."""
        if recorded is not None:
            if recorded.source:
                await acted(self._bench, _act(checked, recorded.source), recorded)
            return recorded
        request = ChildRequest(
            tool=checked.call.name,
            arguments=checked.arguments,
            key=checked.cell_id,
            remaining=self._remaining(),
        )
        try:
            child = await self._ended(await self._delegation.delegate(request))
        except InvalidRequest as refusal:
            return Result(text=f"The task was refused: {refusal.message}", has_failed=True)
        return await self._told(checked, child)

    async def _ended(self, child: Child) -> Child:
        begun = asyncio.get_running_loop().time()
        pause = _SHORTEST_PAUSE_SECONDS
        while not child.state.is_final:
            is_running = child.state is State.RUNNING
            patience = _PATIENCE_SECONDS if is_running else _QUEUED_PATIENCE_SECONDS
            if asyncio.get_running_loop().time() > begun + patience:
                raise Waits(child.id, {"awaited": child.id})
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
            child = await self._delegation.child(child.id)
        return child

    async def _told(self, checked: Checked, child: Child) -> Result:
        if child.state is not State.SUCCESS:
            why = f": {child.error.name}: {child.error.message}" if child.error else ""
            text = f"Task {child.id} ({child.name}) ended as {child.state.value}{why}"
            return Result(text=cut(text), has_failed=True, usage=child.usage)
        values = wire.encode(child.outputs)
        source = _source(checked.call.name, child, values)
        ran = await self._bench.run(_act(checked, source))
        said = json.dumps(values, ensure_ascii=False)
        text = f"{cut(said)}\n(kept in the variable `{checked.call.name}`)"
        return Result(text=text, outputs=ran.outputs, source=source, usage=child.usage)


def _act(checked: Checked, source: str) -> Act:
    return Act(cell_id=checked.cell_id, source=source, tags=("task",))


def _source(name: str, child: Child, values: Mapping[str, Any]) -> str:
    """A cell that holds what came of the task, so that the notebook runs without it."""
    said = repr(dict(values))
    if len(said) > _LONGEST_VALUE:
        said = repr({"task": child.id})
    return f"# {child.kind} {child.name}: task {child.id}\n{name} = {said}\n{name}"
