"""An agent's loop at the server's door: tasks that it submits, notes, shared budgets.

A server that restarts is waited for; the run ends, to be resumed, where none comes back.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any

from opspawn_jupyter.client.discovery import Server
from opspawn_jupyter.client.transport import Transport
from opspawn_jupyter.errors import (
    AgentStopped,
    InvalidRequest,
    NotFound,
    OpspawnError,
    Unavailable,
)
from opspawn_jupyter.model import wire
from opspawn_jupyter.model.agent_door import AgentDoor, Allowance, Child, ChildRequest
from opspawn_jupyter.model.conversation import Usage
from opspawn_jupyter.model.note import Note, NoteList, NoteRequest, RecallRequest

_PATIENCE_SECONDS = 60.0
_PAUSE_SECONDS = 0.5


class LoopDoor:
    """Asks with the loop's key. Raises ``AgentStopped`` where nobody answers or lets it in."""

    def __init__(self, door: AgentDoor | None, task_id: str) -> None:
        self._door = door
        self._path = f"agents/{task_id}"
        self._transport: Transport | None = None

    @property
    def shares_budget(self) -> bool:
        """There are budgets to be asked about."""
        return self._door is not None and self._door.shares_budget

    async def delegate(self, request: ChildRequest) -> Child:
        """See ``delegation.Delegation``."""
        answer = await self._asked("POST", f"{self._path}/tasks", wire.encode(request))
        return wire.decode(Child, answer)

    async def child(self, task_id: str) -> Child:
        """See ``delegation.Delegation``."""
        return wire.decode(Child, await self._asked("GET", f"{self._path}/tasks/{task_id}"))

    async def allowance(self, used: Usage) -> Allowance:
        """Whether something is left of the budgets that agents share, where this run has used so
        much that was not used before."""
        known = {name: value for name, value in wire.encode(used).items() if value is not None}
        answer = await self._asked("GET", f"{self._path}/allowance", query=known)
        return wire.decode(Allowance, answer)

    async def remember(self, request: NoteRequest) -> Note:
        """See ``notes.Notebook``."""
        return wire.decode(Note, await self._asked("POST", "notes", wire.encode(request)))

    async def recall(self, request: RecallRequest) -> Sequence[Note]:
        """See ``notes.Notebook``."""
        answer = await self._asked("POST", "recalled-notes", wire.encode(request))
        return wire.decode(NoteList, answer).notes

    async def _asked(
        self, method: str, path: str, body: Any = None, query: Mapping[str, Any] | None = None
    ) -> Any:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                return await self._connected().call(method, path, body=body, query=query)
            except Unavailable as failure:
                if time.monotonic() > deadline:
                    raise AgentStopped(hint=failure.message.rstrip(".")) from failure
            except (InvalidRequest, NotFound) as refusal:
                raise InvalidRequest.restore(refusal.message, refusal.detail) from refusal
            except OpspawnError as failure:
                raise AgentStopped(hint=failure.message.rstrip(".")) from failure
            await asyncio.sleep(_PAUSE_SECONDS)

    def _connected(self) -> Transport:
        """Made in the loop in which it is used."""
        if self._door is None:
            raise AgentStopped(hint="this run was given no way to the server")
        if self._transport is None:
            server = Server(url=self._door.url, token=self._door.token, verify=False)
            self._transport = Transport(server.url, server.authorization, verify=server.verify)
        return self._transport
