"""A tool of our own that agents outside may call, beside those of the tool servers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from opspawn_jupyter.model.tool import Principal

#: The one server whose tools the request asks for by their own names, where it does. The SDK looks
#: tools up by name, without the request.
asked_server: ContextVar[str | None] = ContextVar("asked server", default=None)

#: Gives a JSON value; raises one of our errors.
Run = Callable[[Principal, Mapping[str, Any]], Awaitable[Any]]


@dataclass(frozen=True, kw_only=True)
class OwnTool:
    """Its definition, and what it does."""

    name: str
    description: str
    run: Run
    #: JSON Schema by argument.
    properties: Mapping[str, Any] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    is_read_only: bool = False
    #: Its value names a task (``id``), which callers who know MCP's tasks are given as one.
    starts_task: bool = False

    @property
    def input_schema(self) -> Mapping[str, Any]:
        """JSON Schema of the arguments."""
        return {
            "type": "object",
            "properties": dict(self.properties),
            "required": list(self.required),
            "additionalProperties": False,
        }


@dataclass(frozen=True, kw_only=True)
class OwnTask:
    """A task as MCP's tasks extension tells it."""

    id: str
    #: One of ``working``, ``completed``, ``cancelled``.
    status: str
    message: str
    created_at: str
    updated_at: str
    #: Once it is completed: the value, and whether it is a failure.
    value: Any = None
    is_error: bool = False
