"""A workflow as people look at it: its steps with their states, and what two runs differ in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from opspawn_jupyter.model.policy import STRICT
from opspawn_jupyter.model.task import Task


@dataclass(frozen=True, kw_only=True)
class StepView:
    """One step of a run."""

    id: str
    kind: str
    description: str = ""
    depends_on: tuple[str, ...] = ()
    #: Of the task; of several the one that matters most; ``pending`` before there is any.
    state: str
    #: Its tasks in the order of its items; one where it has no items.
    task_ids: tuple[str, ...] = ()
    #: How many of them have ended.
    ended: int = 0
    duration_seconds: float | None = None
    #: The task that did the work, where its result was taken over.
    reused_from: str | None = None
    #: Why it was skipped or did not succeed.
    reason: str = ""
    outputs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class WorkflowView:
    """One run: the task of the workflow, and its steps in the order of the file."""

    task: Task
    steps: tuple[StepView, ...]


@dataclass(frozen=True, kw_only=True)
class RerunRequest:
    """What of a run is done again. With nothing given, what did not succeed and what follows."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    #: This step and what follows, whatever became of them.
    from_step: str | None = None
    #: Other values; then nothing is kept but what the cache has.
    parameters: Mapping[str, Any] = field(default_factory=dict)
    parameters_text: Mapping[str, str] = field(default_factory=dict)
    #: Everything, and without the cache.
    force: bool = False


@dataclass(frozen=True, kw_only=True)
class StepDifference:
    """What a step did differently in the second of two runs."""

    step: str
    states: tuple[str, str]
    durations_seconds: tuple[float | None, float | None]
    #: Values by name, where they differ.
    parameters: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)
    outputs: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)
    #: Lines of a unified diff of the notebooks' code.
    source: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two runs beside each other; steps in the order of the second."""

    ids: tuple[str, str]
    names: tuple[str, str]
    states: tuple[str, str]
    durations_seconds: tuple[float | None, float | None]
    parameters: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)
    outputs: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)
    #: Lines of a unified diff of the workflows' files.
    source: tuple[str, ...] = ()
    steps: tuple[StepDifference, ...] = ()
