"""The tool broker's place in the server: when it is open, who calls it, and what it is told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from opspawn_jupyter.broker import keys as door_keys
from opspawn_jupyter.broker.broker import ToolBroker
from opspawn_jupyter.broker.keys import Keys
from opspawn_jupyter.broker.opening import open_broker
from opspawn_jupyter.broker.ports import Question
from opspawn_jupyter.errors import StoreUnavailable
from opspawn_jupyter.model.event import Event
from opspawn_jupyter.model.states import OUTCOME_EVENTS
from opspawn_jupyter.model.tool import Principal, Tool, ToolCall
from opspawn_jupyter.orchestrator.context import Orchestration
from opspawn_jupyter.orchestrator.login import log_in, withdraw_logins
from opspawn_jupyter.orchestrator.tool_call import is_known, may_call, put, record_call
from opspawn_jupyter.server.background import Background
from opspawn_jupyter.server.browsers import Browsers
from opspawn_jupyter.server.mcp_sessions import McpSessions
from opspawn_jupyter.server.mcp_verbs import Verbs
from opspawn_jupyter.server.metrics import count_call

_OUTCOMES = frozenset(OUTCOME_EVENTS.values())


class Tools:
    """The broker with its keys. A bus as well: what runs for one task alone ends with it."""

    def __init__(self, keys: Keys, browsers: Browsers) -> None:
        self.keys = keys
        self.browsers = browsers
        self._background = Background()
        self._broker: ToolBroker | None = None
        self._o: Orchestration | None = None
        self._sessions: McpSessions | None = None
        #: Who began each MCP session; nobody else may use it.
        self.session_owners: dict[str, Principal] = {}

    async def open(self, o: Orchestration) -> None:
        """Make the broker. Starts no server."""
        self._o = o
        self._broker = await asyncio.to_thread(
            open_broker, o.settings, CallRecords(o), Askable(o), lambda: self.browsers.address
        )
        self._sessions = McpSessions(self._broker, Verbs(o))
        self._background.start(withdraw_logins(o), "withdraw logins")

    async def mcp_application(self) -> Callable[..., Any]:
        """The ASGI application that speaks MCP."""
        if self._sessions is None:
            raise StoreUnavailable(hint="the server is still starting")
        return await self._sessions.application()

    @property
    def broker(self) -> ToolBroker:
        """The broker. Raises ``StoreUnavailable`` before it is open."""
        if self._broker is None:
            raise StoreUnavailable(hint="the server is still starting")
        return self._broker

    async def principal(self, token: str) -> Principal | None:
        """Who shows this key; None where it is none, or its time is over."""
        named = self.keys.read(token)
        task = await self._o.store.task(named[0]) if named and self._o else None
        return door_keys.principal(task, named[1]) if named and task else None

    def tell(self, events: Sequence[Event]) -> None:
        """See ``ports.Bus``."""
        ended = [event.task_id for event in events if event.type in _OUTCOMES]
        if self._broker is not None and ended:
            self._background.start(_forget(self._broker, ended), "forget tasks")

    async def close(self) -> None:
        """End every tool server."""
        await self._background.close()
        ends = [one.close() for one in (self._sessions, self._broker) if one is not None]
        await asyncio.gather(*ends)  # side by side: whoever ends the server waits for it


async def _forget(broker: ToolBroker, task_ids: Sequence[str]) -> None:
    """Each of them, whatever becomes of the others."""
    await asyncio.gather(*map(broker.forget_task, task_ids))


class CallRecords:
    """See ``broker.ports.CallLog``: the history keeps them."""

    def __init__(self, o: Orchestration) -> None:
        self._o = o

    async def record(self, call: ToolCall) -> None:
        """Keep it."""
        count_call(call)
        await record_call(self._o, call)

    async def is_known(self, call_id: str) -> bool:
        """Whether it has ended."""
        return await is_known(self._o, call_id)


class Askable:
    """See ``broker.ports.People``: their questions lie in the store until they are answered."""

    def __init__(self, o: Orchestration) -> None:
        self._o = o

    async def may_call(
        self,
        principal: Principal,
        tool: Tool,
        arguments: Mapping[str, Any],
        call_id: str | None,
    ) -> bool:
        """Ask whether the call may go on."""
        return await may_call(self._o, principal, tool, arguments, call_id)

    async def ask(
        self, principal: Principal, server: str, question: Question
    ) -> Mapping[str, Any] | None:
        """Put the server's question."""
        return await put(self._o, principal, server, question.message, question.schema)

    async def log_in(
        self, principal: Principal, server: str, url: str, outcome: asyncio.Future[str]
    ) -> None:
        """Ask somebody to log in."""
        await log_in(self._o, principal, server, url, outcome)
