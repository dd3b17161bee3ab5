"""What an agent's loop asks the server for, beyond its kernel: tasks, notes, and what is left of
budgets that it shares with others.

The loop shows a key of its own, which its kernel never sees: the code that a model writes cannot
ask for any of this.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from opspawn_jupyter.model.conversation import Usage
from opspawn_jupyter.model.policy import STRICT
from opspawn_jupyter.model.states import State
from opspawn_jupyter.model.task import Problem


@dataclass(frozen=True, kw_only=True)
class AgentDoor:
    """Where an attempt of an agent's task asks, and with which key."""

    url: str
    #: Ends with the attempt.
    token: str = field(repr=False)
    #: Path of the file with keys of providers that the environment lacks; it need not be there.
    secrets_file: str = ""
    #: Budgets are shared: ask before more is used.
    shares_budget: bool = False


@dataclass(frozen=True, kw_only=True)
class ChildRequest:
    """A call of a tool that is a task."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    tool: str
    arguments: Mapping[str, Any]
    #: Names the call within its task: asked again, it is the same task.
    key: str
    #: What the agent may still use, by name of limit; the task gets no more.
    remaining: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Child:
    """A task that an agent has submitted, as it stands."""

    id: str
    name: str
    kind: str
    state: State
    outputs: Mapping[str, Any] = field(default_factory=dict)
    error: Problem | None = None
    #: By it and by the tasks that it submitted in turn.
    usage: Usage = field(default_factory=Usage)


@dataclass(frozen=True, kw_only=True)
class Allowance:
    """Whether a shared budget is left."""

    #: Which one is used up; None while none is.
    exceeded: str | None = None
    hint: str = ""
