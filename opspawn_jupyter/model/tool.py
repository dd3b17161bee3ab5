"""Tools of MCP servers: what there is, what is asked for, what comes back, what is recorded.

A task declares its tools in ``spec.tools``, as patterns of ``server.tool``: ``time.*``,
``files.read_*``, ``time.convert_time``. Its kernel can call these and no others; a task that
declares none has no door to the tools at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any, ClassVar

from opspawn_jupyter.errors import InvalidRequest
from opspawn_jupyter.model.policy import STRICT

#: Between server and tool in names that MCP clients see; their rules allow no dot.
SEPARATOR = "__"


def tool_patterns(patterns: Iterable[str]) -> tuple[str, ...]:
    """The patterns, each found good. Raises ``InvalidRequest``; kinds whose tasks may use tools
    call it."""
    found = tuple(patterns)
    for pattern in found:
        server, _, tool = pattern.partition(".")
        if not server.strip() or not tool.strip():
            hint = "tools are named as server.tool, such as time.* or files.read_*"
            raise InvalidRequest(pattern, hint=hint)
    return found


class Permission(StrEnum):
    """What the configuration says of a tool."""

    ALLOW = "allow"
    #: Each call waits for a person's word.
    ASK = "ask"
    DENY = "deny"


class ServerState(StrEnum):
    """How a tool server stands."""

    #: Configured, not started: it starts with the first use.
    IDLE = "idle"
    CONNECTING = "connecting"
    READY = "ready"
    #: The last try failed; it is tried again.
    FAILED = "failed"
    #: It wants somebody to log in; ``problem`` says where, or how that is begun.
    LOGIN_NEEDED = "login_needed"
    #: Its command was not approved yet, or has changed since.
    UNAPPROVED = "unapproved"
    #: Its configuration cannot be used; ``problem`` says why.
    INVALID = "invalid"
    DISABLED = "disabled"


class CallOutcome(StrEnum):
    """What became of one call."""

    SUCCESS = "success"
    #: The tool ran and said that it failed.
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    #: Policy, limits, arguments or a person stood against it; the server was not asked.
    REFUSED = "refused"
    #: The server could not be reached or answered nonsense.
    UNAVAILABLE = "unavailable"
    CANCELLED = "cancelled"


@dataclass(frozen=True, kw_only=True)
class Principal:
    """Who calls."""

    user: str
    #: Set for code that runs in a task's kernel.
    task_id: str | None = None
    #: Patterns of the tools that it may use; None for all that the configuration allows.
    tools: tuple[str, ...] | None = None

    def may_reach(self, server: str) -> bool:
        """Whether its patterns reach anything of the server."""
        return self.tools is None or any(
            fnmatchcase(server, pattern.partition(".")[0]) for pattern in self.tools
        )

    def may_use(self, server: str, tool: str) -> bool:
        """Whether its own patterns reach the tool."""
        return self.tools is None or any(
            fnmatchcase(f"{server}.{tool}", pattern) for pattern in self.tools
        )


@dataclass(frozen=True, kw_only=True)
class ToolServer:
    """One configured MCP server."""

    name: str
    #: ``stdio`` or ``http``.
    transport: str
    state: ServerState
    #: The command with its arguments, or the address; without secrets.
    target: str
    #: What is to be approved, where something is.
    digest: str = ""
    problem: str | None = None
    #: None until it was asked once.
    tool_count: int | None = None
    protocol_version: str | None = None
    #: Process id of a server that was started here.
    pid: int | None = None


@dataclass(frozen=True, kw_only=True)
class Tool:
    """One tool of one server."""

    server: str
    name: str
    description: str = ""
    #: JSON Schema of the arguments.
    input_schema: Mapping[str, Any] = field(default_factory=dict)
    #: JSON Schema of ``structured`` in the result, where the server tells it.
    output_schema: Mapping[str, Any] | None = None
    #: What the server says of it (MCP's annotations): a hint, no promise.
    hints: Mapping[str, Any] = field(default_factory=dict)
    permission: Permission = Permission.ALLOW
    #: SHA-256 over what the server says of the tool.
    digest: str = ""
    #: Why it cannot be called now.
    problem: str | None = None

    @property
    def full_name(self) -> str:
        """As people write it."""
        return f"{self.server}.{self.name}"


@dataclass(frozen=True, kw_only=True)
class ToolResult:
    """What a tool gave."""

    #: Parts as MCP has them: ``{"type": "text", "text": …}`` and images, audio, resources.
    content: tuple[Mapping[str, Any], ...] = ()
    #: The value for programs, of tools that give one.
    structured: Any = None
    #: The tool says that it failed; ``content`` says why.
    is_error: bool = False
    meta: Mapping[str, Any] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """All text parts, joined."""
        return "\n".join(
            str(part.get("text", "")) for part in self.content if part.get("type") == "text"
        )

    @property
    def value(self) -> Any:
        """What a caller in Python wants: the structured value, else the text."""
        if self.structured is None:
            return self.text
        if isinstance(self.structured, Mapping) and set(self.structured) == {"result"}:
            return self.structured["result"]  # how servers wrap what is no object
        return self.structured


@dataclass(frozen=True, kw_only=True)
class Resource:
    """Something that a server lets read. ``uri`` is a template where ``is_template``."""

    server: str
    uri: str
    name: str = ""
    description: str = ""
    mime_type: str | None = None
    is_template: bool = False


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """A text for a model that a server can write."""

    server: str
    name: str
    description: str = ""
    #: Each with ``name``, ``description`` and ``required``.
    arguments: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, kw_only=True)
class ToolCallRequest:
    """One call of a tool. ``arguments_text`` are values as a person types them; each is read by
    the type in the tool's schema."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    server: str
    tool: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    arguments_text: Mapping[str, str] = field(default_factory=dict)
    #: The configuration's limit where it is left out or longer.
    timeout_seconds: float | None = None
    #: Made by the caller (``new_id``), where the call may wait for a person: who comes back with
    #: the same id finds the answer that was given meanwhile.
    id: str | None = None


@dataclass(frozen=True, kw_only=True)
class ResourceRequest:
    """A resource to read."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    server: str
    uri: str


@dataclass(frozen=True, kw_only=True)
class PromptRequest:
    """A prompt to write."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    server: str
    name: str
    arguments: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ImportRequest:
    """Another program's file of MCP servers, to be taken over."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    #: Below the server's root.
    path: str


@dataclass(frozen=True, kw_only=True)
class ApprovalRequest:
    """What was looked at and found good: a server's name, or ``server.tool``."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    name: str
    #: As it was shown, so that nothing else is approved than what was seen.
    digest: str


@dataclass(frozen=True, kw_only=True)
class LoginRequest:
    """The server to log in to, or out of."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    server: str


@dataclass(frozen=True, kw_only=True)
class ToolLogin:
    """How the caller stands with a server that wants a login."""

    server: str
    #: The server lets the caller in.
    is_logged_in: bool
    #: Where to log in, where somebody has to.
    url: str = ""


@dataclass(frozen=True, kw_only=True)
class ToolCall:
    """The record of one call."""

    id: str
    at: datetime
    principal: Principal
    server: str
    tool: str
    #: SHA-256 over the arguments.
    arguments_digest: str
    #: Only where the configuration allows it.
    arguments: Mapping[str, Any] | None = None
    outcome: CallOutcome
    duration_seconds: float
    #: Code of the error, for what was refused or not reached.
    error: str | None = None
    result_bytes: int = 0


@dataclass(frozen=True, kw_only=True)
class ToolServerList:
    """The configured servers, by name."""

    servers: tuple[ToolServer, ...]
    #: Configuration files that cannot be used, and why.
    problems: Mapping[str, str] = field(default_factory=dict)
    #: Servers by other programs' files, below the root, that name some which are not here.
    offers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ToolList:
    """Tools, by server and name."""

    tools: tuple[Tool, ...]
    #: Servers that could not be asked, and why.
    problems: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ResourceList:
    """Resources, by server."""

    resources: tuple[Resource, ...]
    problems: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class PromptList:
    """Prompts, by server and name."""

    prompts: tuple[Prompt, ...]
    problems: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ResourceContent:
    """What was read: parts as MCP has them, with ``text`` or base64 ``blob``."""

    contents: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, kw_only=True)
class PromptText:
    """What was written, as MCP's messages."""

    description: str = ""
    messages: tuple[Mapping[str, Any], ...] = ()
