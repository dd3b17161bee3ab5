"""The broker's own seams: a connection to a server, and where calls are recorded."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from opspawn_jupyter.model.tool import Principal, Prompt, Resource, Tool, ToolCall, ToolResult

#: What a server says of one tool, as it says it.
Definition = Mapping[str, Any]


class Progress(Protocol):
    """Whom a tool tells how far it is."""

    async def __call__(self, progress: float, total: float | None, message: str | None) -> None:
        """Called as the tool tells it."""


class ConnectionLost(Exception):
    """The server is gone or has forgotten us; its argument says why."""


@dataclass(frozen=True, kw_only=True)
class Question:
    """What a server wants to know from a person while a tool runs."""

    message: str
    #: JSON Schema of the answer, an object.
    schema: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Inquiry:
    """What a server wants of whoever calls it while a request runs, as MCP has it."""

    #: The server's own name for it, if only for this request.
    key: str
    #: One of those in ``broker.asking``.
    method: str
    params: Mapping[str, Any] = field(default_factory=dict)


class NotAnswered(Exception):
    """Nobody answers this, or nobody may; its argument says why."""


@dataclass(frozen=True, kw_only=True)
class Host:
    """Whoever calls, as far as they take part in a request while it runs."""

    principal: Principal
    #: What it answers, by MCP's names of client capabilities.
    capabilities: Mapping[str, Any] = field(default_factory=dict)
    #: Gives MCP's result. Raises ``NotAnswered``.
    ask: Callable[[Inquiry], Awaitable[Mapping[str, Any]]] | None = None
    #: The least level of log messages that it wants; None for none.
    log_level: str | None = None
    #: Takes the parameters of MCP's log message.
    log: Callable[[Mapping[str, Any]], Awaitable[None]] | None = None
    progress: Progress | None = None


class Changed(StrEnum):
    """What is another than before."""

    TOOLS = "tools"
    PROMPTS = "prompts"
    #: Which resources there are.
    RESOURCES = "resources"
    #: What one resource holds.
    RESOURCE = "resource"


@dataclass(frozen=True, kw_only=True)
class Change:
    """A server told that something changed."""

    what: Changed
    #: Of one resource.
    uri: str = ""


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """What an authorization server sent somebody's browser back with."""

    state: str
    code: str = ""
    #: Who it says it is (RFC 9207), if it does.
    issuer: str | None = None
    #: Why there is no code.
    problem: str = ""
    #: Whoever uses the code says here what came of it: nothing, or what went wrong.
    outcome: asyncio.Future[str]


@dataclass(frozen=True, kw_only=True)
class Open:
    """Whom a connection tells."""

    #: It is of no use any more.
    lost: Callable[[], None]
    changed: Callable[[Change], None]
    #: Raises ``NotAnswered``.
    ask: Callable[[Inquiry], Awaitable[Mapping[str, Any]]]
    log: Callable[[Mapping[str, Any]], Awaitable[None]]
    #: Has somebody log in at this address. Raises ``ToolLoginNeeded``.
    log_in: Callable[[str], Awaitable[Arrival]]
    #: Whose connection it is, and so whose login.
    sharers: str = ""
    #: Client capabilities that some caller may have.
    capabilities: frozenset[str] = frozenset()


class Connection(Protocol):
    """An open connection. Any task may use it; only its owner opens and closes it. Each method
    raises ``ConnectionLost``, ``ToolServerFault`` or ``ToolTimedOut``."""

    @property
    def protocol_version(self) -> str:
        """The protocol's version that both sides speak."""

    @property
    def pid(self) -> int | None:
        """Process id of a server that was started here."""

    async def tools(self) -> Sequence[Definition]:
        """Everything that the server says of its tools."""

    async def call(
        self,
        tool: str,
        arguments: Mapping[str, Any],
        timeout_seconds: float,
        host: Host,
    ) -> ToolResult:
        """Call the tool."""

    async def resources(self) -> Sequence[Resource]:
        """Resources and templates of resources; ``server`` is left empty."""

    async def read(self, uri: str, host: Host) -> Sequence[Mapping[str, Any]]:
        """What lies at a resource's address."""

    async def prompts(self) -> Sequence[Prompt]:
        """Prompts; ``server`` is left empty."""

    async def prompt(
        self, name: str, arguments: Mapping[str, str], host: Host
    ) -> tuple[str, Sequence[Mapping[str, Any]]]:
        """Description and messages of a prompt."""

    async def complete(
        self, ref: Mapping[str, Any], argument: Mapping[str, str], given: Mapping[str, str]
    ) -> Mapping[str, Any]:
        """Values that an argument of a prompt or a template may take, as MCP has them."""

    async def watch(self, changed: Callable[[Change], None], uris: frozenset[str]) -> None:
        """Hear of changes, also of these resources, until it is cancelled; may end sooner. Called
        by the owner when the connection is open, and again when there are other addresses."""


class People(Protocol):
    """Who is asked before or in the middle of a call."""

    async def may_call(
        self,
        principal: Principal,
        tool: Tool,
        arguments: Mapping[str, Any],
        call_id: str | None,
    ) -> bool:
        """Whether a call that needs a person's word may go on; waits for the answer."""

    async def ask(
        self, principal: Principal, server: str, question: Question
    ) -> Mapping[str, Any] | None:
        """What a person answers to a server in the middle of a call; None for a refusal."""

    async def log_in(
        self, principal: Principal, server: str, url: str, outcome: asyncio.Future[str]
    ) -> None:
        """Ask a person to log in at this address, until the outcome is there or they refuse."""


class CallLog(Protocol):
    """Where calls are recorded. Never fails a call."""

    async def record(self, call: ToolCall) -> None:
        """Called once for each call, when it has ended, however it ended."""

    async def is_known(self, call_id: str) -> bool:
        """Whether a call of this id has ended before. Called for calls that bear one."""
