"""Agent tasks: what a caller asks for, and what is run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar

from opspawn_jupyter.model.notebook import NotebookSpec
from opspawn_jupyter.model.policy import STRICT

#: The kind of an agent's task.
AGENT = "agent"
#: Name of the tool that runs code in the kernel.
CODE_TOOL = "run_python"
#: Name of the tool that keeps the plan.
PLAN_TOOL = "update_plan"
#: Name of the tool by which a structured answer is given.
ANSWER_TOOL = "final_answer"
#: Names of the tools that write notes and find them again.
REMEMBER_TOOL = "remember"
RECALL_TOOL = "recall"


class Permission(StrEnum):
    """What may become of a call of a tool. The model has no say in it."""

    ALLOW = "allow"
    #: A person is asked each time.
    ASK = "ask"
    DENY = "deny"


class AgentMode(StrEnum):
    """How a run treats its tape."""

    #: What is on the tape is taken from it, the rest is done and put on it.
    LIVE = "live"
    #: Everything is taken from the tape: no model, no kernel.
    REPLAY = "replay"
    #: No model; the code runs for real, in a clean kernel, and what it puts out is kept.
    RERUN = "rerun"
    #: The same, and what it puts out is compared with what it put out first.
    REPRODUCE = "reproduce"


@dataclass(frozen=True, kw_only=True)
class AgentLimits:
    """How much a run may use, retries and resumed attempts included. None: without limit."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    #: Turns: one answer of the model with all calls in it.
    max_steps: int = 30
    max_requests: int | None = None
    #: Given and taken together.
    max_tokens: int | None = None
    #: In US dollars.
    max_cost: float | None = None
    max_tool_calls: int | None = None
    #: Wall time of an attempt.
    max_seconds: float | None = None
    #: Of one call of a tool, a code cell too.
    tool_seconds: float = 600.0
    #: How often in a row the model may call what does not exist or with arguments that do not
    #: fit, before the run is given up.
    max_mistakes: int = 5


@dataclass(frozen=True, kw_only=True)
class ModelOptions:
    """How a model is reached and when it is given up."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    #: Of a server that speaks the provider's protocol; the provider's own where it is left out.
    base_url: str | None = None
    #: Environment variable that holds the key; the provider's usual one where it is left out.
    api_key_env: str | None = None
    #: US dollars for a million tokens given, for a model whose price is not known.
    input_price: float | None = None
    #: The same for tokens taken.
    output_price: float | None = None
    temperature: float | None = None
    #: Limit of one request.
    timeout_seconds: float = 120.0
    #: How often a request is repeated after 429, 5xx, a time-out or a broken connection, before
    #: the next model of the list is asked.
    max_retries: int = 3
    #: Before the first repetition; it doubles for each further one.
    retry_delay_seconds: float = 1.0


@dataclass(frozen=True, kw_only=True)
class AgentRequest:
    """``spec`` of a submission of kind ``agent``. What a file named by ``agent`` says holds where
    the submission says nothing."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    goal: str
    #: ``PROVIDER:NAME``, ``scripted:FILE``, or several, of which each steps in for those before.
    model: str | tuple[str, ...]
    model_options: ModelOptions = field(default_factory=ModelOptions)
    #: What it is good for: told to agents that have it as a tool.
    description: str = ""
    #: Added to what every agent is told.
    instructions: str = ""
    planner: str = "react"
    memory: str = "window"
    #: How many tokens of the conversation are sent with each request.
    context_tokens: int = 24_000
    #: Name of a collection of notes that it may write to and look in; none where it is left out.
    notes: str | None = None
    #: ``FILE.py:FUNCTION``; ``FILE.ipynb``, or ``FILE.yaml`` of a workflow or of another agent,
    #: which become tasks; an installed package's tool; patterns of MCP tools: ``SERVER``,
    #: ``SERVER.TOOL``.
    tools: tuple[str, ...] = ()
    #: By name of tool, with ``*`` as in file names; the strictest that fits counts.
    permissions: Mapping[str, Permission] = field(default_factory=dict)
    #: A plan must be made, and a person agree to it, before anything is done.
    plan_first: bool = False
    limits: AgentLimits = field(default_factory=AgentLimits)
    #: JSON Schema of the answer; the answer is a text where there is none.
    output_schema: Mapping[str, Any] | None = None
    kernel: str | None = None
    #: Where the kernel starts: absolute, or relative to the root; the root where it is left out.
    working_directory: str | None = None


@dataclass(frozen=True, kw_only=True)
class ToolSpec:
    """A tool that an agent is given, with what the model is told of it."""

    #: Under which the model calls it.
    name: str
    description: str = ""
    #: JSON Schema of its arguments: an object.
    parameters: Mapping[str, Any]
    #: JSON Schema of what it gives, where that is known.
    returns: Mapping[str, Any] | None = None
    #: Who carries it out: ``function``, ``mcp``, ``task`` …
    door: str
    #: What the door needs to know: the file or module, or ``SERVER.TOOL``.
    target: str = ""
    #: Of a tool that is a task: the kind of the task.
    kind: str = ""


@dataclass(frozen=True, kw_only=True)
class AgentSpec:
    """``spec`` of a task of kind ``agent``: checked and complete."""

    goal: str
    models: tuple[str, ...]
    model_options: ModelOptions = field(default_factory=ModelOptions)
    instructions: str = ""
    planner: str
    memory: str
    context_tokens: int
    notes: str | None = None
    #: Functions, and what becomes a task.
    functions: tuple[ToolSpec, ...] = ()
    #: Patterns of the MCP tools that the kernel may call; see ``model/tool.py``.
    tools: tuple[str, ...] = ()
    permissions: Mapping[str, Permission] = field(default_factory=dict)
    plan_first: bool = False
    limits: AgentLimits = field(default_factory=AgentLimits)
    output_schema: Mapping[str, Any] | None = None
    mode: AgentMode = AgentMode.LIVE
    #: The notebook that the run begins with.
    notebook: NotebookSpec


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The steps that an agent means to take."""

    steps: tuple[str, ...] = ()
    #: How many of them are done, from the first on.
    done: int = 0

    @property
    def checklist(self) -> str:
        """The plan in Markdown."""
        return "\n".join(
            f"- [{'x' if place < self.done else ' '}] {step}"
            for place, step in enumerate(self.steps)
        )

    @property
    def current(self) -> str:
        """The step at work; empty where all are done."""
        return self.steps[self.done] if self.done < len(self.steps) else ""


@dataclass(frozen=True, kw_only=True)
class Act:
    """Something that an agent does in its kernel: a code cell."""

    #: The cell's id, made from the call's.
    cell_id: str
    source: str
    tags: tuple[str, ...] = ()
    #: Doing it again to bring a kernel back to where it was changes nothing elsewhere.
    is_repeatable: bool = True


@dataclass(frozen=True, kw_only=True)
class Ran:
    """What came of an act."""

    #: As the notebook format has them.
    outputs: tuple[Mapping[str, Any], ...] = ()
    has_failed: bool = False
    #: It was interrupted at its time limit.
    was_cut: bool = False


@dataclass(frozen=True, kw_only=True)
class ResumeRequest:
    """How to go on from the tape of an agent's run that has ended, as a new task."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    mode: AgentMode = AgentMode.LIVE
    #: Limits that are to be others, by name; what was used before counts.
    limits: Mapping[str, float] = field(default_factory=dict)
    #: Id of the code cell at which to leave the run as it was; its end where it is left out.
    cell: str | None = None
    #: Code for that cell, in place of the model's.
    code: str | None = None
    #: What the model is told there.
    remark: str | None = None
