"""What an agent and a language model say to each other, in nobody's format but ours.

Plain records, so that a conversation can be written down, counted, cut and replayed without any
library of a provider.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Role(StrEnum):
    """Who speaks."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


@dataclass(frozen=True, kw_only=True)
class Call:
    """The model wants a tool to be used."""

    id: str
    name: str
    #: JSON text as the model wrote it, which need not be JSON.
    arguments: str


@dataclass(frozen=True, kw_only=True)
class Message:
    """One thing that was said."""

    role: Role
    text: str = ""
    #: Of an assistant.
    calls: tuple[Call, ...] = ()
    #: Of a tool: which call it answers.
    call_id: str | None = None
    tool: str | None = None


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What was used up."""

    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    #: US dollars; None where a price is not known.
    cost: float | None = 0.0
    tool_calls: int = 0

    @property
    def tokens(self) -> int:
        """Given and taken together."""
        return self.input_tokens + self.output_tokens

    def __add__(self, other: Usage) -> Usage:
        is_known = self.cost is not None and other.cost is not None
        return Usage(
            requests=self.requests + other.requests,
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cost=(self.cost or 0.0) + (other.cost or 0.0) if is_known else None,
            tool_calls=self.tool_calls + other.tool_calls,
        )


@dataclass(frozen=True, kw_only=True)
class Tool:
    """A tool as the model is told of it."""

    name: str
    description: str
    #: JSON Schema of the arguments: an object.
    parameters: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """One request to a model."""

    messages: tuple[Message, ...]
    tools: tuple[Tool, ...] = ()
    #: Number of the request in its run, from 0.
    turn: int = 0


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What a model answered."""

    text: str = ""
    #: What it thought, where the provider tells.
    thought: str = ""
    calls: tuple[Call, ...] = ()
    usage: Usage = field(default_factory=Usage)
    #: Which model it was.
    model: str = ""
